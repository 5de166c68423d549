"""Today's code runs what version 1 left behind: looks it up, takes its keys, and ends its jobs, each of them once."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ironforge import Forge, Settings
from ironforge.errors import IdempotencyConflict
from ironforge.lock import Locks
from tests.cli.kit import Dev, eventually, ironforge
from tests.fixtures.version_1.answers import lasting
from tests.fixtures.version_1.keyed import submit_all
from tests.system.compatibility.conftest import Left, left_behind, server_of

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

QUEUES = "default,reports,bulk,fair,orders,paused,suspects,held"
SERVERS = ("embedded", "redis")
TEAM = "team-a"


def looked_up(dev: Dev, paths: list[str], key: str = "") -> dict[str, Any]:
    found = {}
    for path in paths:
        request = urllib.request.Request(dev.url + path, headers={"Authorization": f"Bearer {key}"} if key else {})
        with urllib.request.urlopen(request) as answer:
            found[path] = lasting(path, answer.read())
    return found


def without_what_is_new(found: Any, recorded: Any) -> Any:
    """Fields that answers have since then take nothing from a client of version 1."""
    match found, recorded:
        case dict(), dict():
            return {name: without_what_is_new(found[name], recorded[name]) for name in found if name in recorded}
        case list(), list() if len(found) == len(recorded):
            return [without_what_is_new(*pair) for pair in zip(found, recorded, strict=True)]
    return found


@pytest.mark.parametrize("server", SERVERS)
def test_everything_is_looked_up_as_version_1_answered(tmp_path: Path, server: str, recorded: Any) -> None:
    with left_behind(tmp_path, server) as settings, Dev(tmp_path, "--no-node", **settings) as dev:
        found = looked_up(dev, list(recorded["answers"]))
    assert without_what_is_new(found, recorded["answers"]) == recorded["answers"]


def test_the_doctor_finds_nothing_wrong_with_it(left: Left) -> None:
    findings = json.loads(ironforge("doctor", "--json", redis_url=left.server).stdout)
    assert [finding for finding in findings if finding["level"] == "fail"] == []


# ------------------------------------------------------------------------------- keys


@pytest.mark.parametrize("stage", ["before", "later"])
async def test_a_submission_that_is_repeated_by_its_door_gives_the_same_job(
    left: Left, recorded: Any, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IRONFORGE_REDIS_URL", left.server)
    submitted = left.dev.json("stats")["totals"]["submitted"]
    assert await submit_all(stage, left.dev.url) == recorded["keyed"][stage]
    assert left.dev.json("stats")["totals"]["submitted"] == submitted


async def test_an_idempotency_key_of_version_1_with_other_content_is_a_conflict(left: Left) -> None:
    async with Forge(Settings(redis_url=left.server)) as forge:
        with pytest.raises(IdempotencyConflict):
            await forge.submit("echo", "something else", idempotency_key="later-python")


async def test_a_lock_is_taken_under_a_higher_fence(left: Left, recorded: Any) -> None:
    locks = Locks(Settings(redis_url=left.server))
    async with locks("nightly", ttl_seconds=30, wait_seconds=0) as held:
        assert held.fence > recorded["fence"]
    await locks.close()


def test_an_api_key_sees_what_it_saw(secured: Dev, recorded: Any) -> None:
    answers = recorded["secured"]["answers"]
    found = looked_up(secured, list(answers), recorded["secured"]["keys"][TEAM])
    assert without_what_is_new(found, answers) == answers


def test_a_key_that_a_key_made_has_its_limits(secured: Dev, recorded: Any) -> None:
    quotas = looked_up(secured, ["/quotas"], recorded["secured"]["keys"]["child"])["/quotas"]
    assert quotas["key_quota"] == {"in_flight": 10}


def test_a_key_of_another_namespace_sees_the_jobs_of_that(secured: Dev, recorded: Any) -> None:
    found = looked_up(secured, ["/dlq"], recorded["secured"]["keys"]["default"])
    assert found["/dlq"] == recorded["answers"]["/dlq"]


@pytest.mark.parametrize("namespace", ["default", TEAM])
def test_the_audit_trail_is_whole_and_goes_on(left: Left, recorded: Any, namespace: str) -> None:
    secrets = recorded["secured"]
    given = {"redis_url": left.server, "key_pepper": secrets["pepper"], "namespace": namespace}
    verify = ("audit", "verify", "--head", secrets["heads"][namespace])
    assert ironforge(*verify, **given).returncode == 0
    ironforge("keys", "create", "another", "--scope", "jobs:read", **given)
    assert ironforge(*verify, **given).returncode == 0


# ------------------------------------------------------------------------------- runs


class Ended(NamedTuple):
    """After a node has run all that was left: what the API says, and how often each job ran."""

    answers: dict[str, dict[str, Any]]
    totals: dict[str, int]
    runs: Counter[str]


@pytest.fixture(scope="module", params=SERVERS)
def ended(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, recorded: Any) -> Ended:
    folder, jobs = tmp_path_factory.mktemp("run"), recorded["jobs"]
    node = ("app", "--queues", QUEUES, "--lease-seconds", "1")
    with left_behind(folder, request.param) as settings, Dev(folder, *node, **settings) as dev:
        only_paused = {"queued": 1, "running": 0, "scheduled": 0}
        eventually(lambda: only_paused.items() <= dev.json("stats").items(), "all but the paused queue to be empty")
        assert dev.status(jobs["in a paused queue"]["id"]) == "queued"
        assert dev.ironforge("queues", "resume", "paused").returncode == 0
        dev.becomes(jobs["in a paused queue"]["id"], "completed")
        answers = {name: json.loads(dev.get(f"/jobs/{job['id']}")) for name, job in jobs.items()}
        completed = sum(answer["status"] == "completed" for answer in answers.values())
        eventually(lambda: dev.json("stats")["totals"]["completed"] >= completed, "what completed to be counted")
        totals = dev.json("stats")["totals"]
    return Ended(answers, totals, runs(folder))


def runs(folder: Path) -> Counter[str]:
    return Counter((folder / "ledger").read_text(encoding="utf-8").split())


def test_every_job_ends_as_it_should(ended: Ended, recorded: Any) -> None:
    found = {name: answer["status"] for name, answer in ended.answers.items()}
    assert found == {name: job["ends"] for name, job in recorded["jobs"].items()}


def test_every_job_that_had_not_ended_runs_once(ended: Ended, recorded: Any) -> None:
    jobs, answers = recorded["jobs"], recorded["answers"]
    over = {"completed", "cancelled", "dead"}
    waiting = [job["id"] for job in jobs.values() if answers[f"/jobs/{job['id']}"]["status"] not in over]
    twice_again = [jobs["fails yet"]["id"]] * 2
    assert ended.runs == Counter([*waiting, *twice_again])


def test_every_job_settles_once(ended: Ended, recorded: Any) -> None:
    completed = [name for name, job in recorded["jobs"].items() if job["ends"] == "completed"]
    assert ended.totals["completed"] == len(completed)


def test_every_handler_is_given_what_was_submitted(ended: Ended) -> None:
    echoes = [answer for answer in ended.answers.values() if answer["kind"] == "echo"]
    returned = [answer["result"] for answer in echoes if answer["status"] == "completed"]
    assert returned == [answer["payload"] for answer in echoes if answer["status"] == "completed"]


@pytest.mark.parametrize(
    ("name", "field", "expected"),
    [
        ("waits for its retry", "result", "completed at attempt 2"),
        ("snoozed", "result", "awake"),
        ("suspect", "result", "held no longer"),
        ("held by a killed node", "result", "held no longer"),
        ("held by a killed node", "crashes", 1),
        ("fails yet", "attempts", 3),
        ("with many options", "result", {"shipped": 1}),
    ],
)
def test_what_was_known_of_a_job_goes_on(ended: Ended, name: str, field: str, expected: object) -> None:
    assert ended.answers[name][field] == expected


def test_jobs_of_another_namespace_run_in_theirs(tmp_path: Path, recorded: Any) -> None:
    (one,) = recorded["secured"]["answers"]["/jobs?state=queued"]
    with left_behind(tmp_path, "embedded"), Dev(tmp_path, "app", "--queues", "invoices", namespace=TEAM) as dev:
        dev.becomes(one, "completed")


# ------------------------------------------------------------------------------- shards


def test_a_namespace_of_several_shards_is_looked_up_repeated_and_run(
    tmp_path: Path, recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sharded = recorded["sharded"]
    queues = "default,reports,bulk,orders"
    with left_behind(tmp_path, "embedded"):
        with Dev(tmp_path, "--no-node", **sharded["settings"]) as dev:
            found = looked_up(dev, list(sharded["answers"]))
            assert without_what_is_new(found, sharded["answers"]) == sharded["answers"]
            given = {**sharded["settings"], "redis_url": server_of(tmp_path)}
            for name, value in given.items():
                monkeypatch.setenv(f"IRONFORGE_{name.upper()}", value)
            assert asyncio.run(submit_all("sharded", dev.url)) == sharded["keyed"]
        with Dev(tmp_path, "app", "--queues", queues, "--lease-seconds", "1", **sharded["settings"]) as dev:
            for job_id in sharded["ids"]:
                dev.becomes(job_id, "completed")
    assert runs(tmp_path) == Counter(sharded["ids"])
