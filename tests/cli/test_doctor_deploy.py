"""`ironforge doctor --deploy`: which waiting jobs the new code could not run, before it is rolled out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import redis
from msgspec import Raw

from ironforge.job.options import JobOptions
from ironforge.job.record import format_id
from ironforge.job.request import JobRequest
from ironforge.redis.keys import Keys
from ironforge.schedules.definition import Schedule
from ironforge.settings import load
from ironforge.store import StoreClient, Submission
from ironforge.store.schedules.contract import CODE
from tests.cli.kit import ironforge
from tests.store.workflows.flow import submission
from tests.workflows import documents

APP = "ironforge.examples.many_kinds"


async def submit(server: str, kind: str, payload: bytes = b"null", delay_ms: int | None = None, **options: Any) -> str:
    job = JobOptions(**options).checked().job(kind, payload)
    store_client = StoreClient(load({}, redis_url=server))
    await store_client.producer.submit([Submission(job, delay_ms)])
    await store_client.close()
    return job.text_id


def deploy(server: str, *flags: str) -> tuple[int, list[str]]:
    """The exit code, and what was found, by level and in words."""
    done = ironforge("doctor", "--json", "--deploy", APP, *flags, redis_url=server)
    return done.returncode, [f"{one['level']} {one['message']}" for one in json.loads(done.stdout)]


@pytest.mark.usefixtures("client")
async def test_jobs_that_the_code_could_run_are_well(server: str) -> None:
    await submit(server, "report.import", b'{"url":"https://a","note":"more"}')
    assert deploy(server) == (
        0,
        [f"ok {what} could run" for what in ("1 queued job", "0 scheduled jobs", "0 waiting jobs", "0 dead jobs")],
    )


@pytest.mark.usefixtures("client")
async def test_jobs_that_it_could_not_run_are_counted_with_examples(server: str) -> None:
    old = await submit(server, "old.kind")
    wrong = await submit(server, "report.import", b"{}", delay_ms=3_600_000)
    code, found = deploy(server)
    assert code == 1
    assert found[0] == f"fail 1 queued job of kind 'old.kind', which this application does not have: {old}"
    assert found[1] == (
        "fail 1 scheduled job of kind 'report.import' with a payload that its handler refuses: "
        f"{wrong} (url: required, but missing)"
    )


@pytest.mark.usefixtures("client")
async def test_queues_that_the_nodes_do_not_serve_are_found(server: str) -> None:
    job_id = await submit(server, "report.import", b'{"url":"https://a"}', queue="mail")
    code, found = deploy(server, "--queues", "default")
    assert code == 1
    assert found[0] == f"fail 1 queued job of queue 'mail', which --queues does not name: {job_id}"


async def test_jobs_are_not_looked_for_in_a_number_of_shards_that_is_not_theirs(server: str) -> None:
    await submit(server, "old.kind")
    code, found = deploy(server, "--shards", "3")
    assert code == 1
    assert found == [
        "fail IRONFORGE_SHARDS=3, but namespace 'default' was begun with 1: set it to 1, or take another namespace"
    ]


async def test_what_to_do_is_said_of_each(server: str) -> None:
    await submit(server, "old.kind", queue="mail")
    await submit(server, "report.import", b"{}")
    done = ironforge("doctor", "--deploy", APP, "--queues", "default", redis_url=server)
    fixes = sorted(line.split()[1] for line in done.stdout.splitlines() if "->" in line)
    assert fixes == ["have", "keep", "name"]


@pytest.mark.usefixtures("client")
async def test_schedules_that_would_not_be_as_the_code_says_are_found(server: str, tmp_path: Path) -> None:
    store_client = StoreClient(load({}, redis_url=server))
    schedule = Schedule(cron=("0 9 * * *",), job=JobRequest(kind="report"))
    for name, source in (("mine", ""), ("filed", "crontab.toml"), ("kept", CODE), ("dropped", CODE), ("theirs", "")):
        await store_client.schedules.put(name, schedule, source=source)
    with redis.Redis.from_url(server) as raw:
        raw.hset(Keys("default").schedules, "newer", b'{"newer": 1}')
    await store_client.close()
    (tmp_path / "shop.py").write_text(
        "from ironforge import Forge\nforge = Forge()\nforge.job('report')(lambda: None)\n"
        "for name in ('mine', 'filed', 'kept', 'newer', 'new'):\n"
        "    forge.schedule(name, 'report', cron='0 9 * * *')\n"
    )
    done = ironforge("doctor", "--json", "--deploy", "shop", redis_url=server, cwd=tmp_path)
    found = [one["message"] for one in json.loads(done.stdout) if one["level"] == "warn"]
    assert found[:2] == [
        "schedule mine of this application is there, put by hand, so its nodes leave that one alone",
        "schedule filed of this application is there, of source 'crontab.toml', so its nodes leave that one alone",
    ]
    assert "schedule newer of this application is there and cannot be read here, so its nodes leave" in found[2]
    last = "is in the code of nodes, and not in that of this application: it pauses as the last of them ends"
    assert found[3:] == [f"schedule dropped {last}"]


async def workflow(server: str, *nodes: dict[str, Any], **more: Any) -> str:
    one = submission(documents.workflow(*nodes, **more))
    store_client = StoreClient(load({}, redis_url=server))
    await store_client.workflows.submit([one])
    await store_client.close()
    return format_id(one.id)


def of_nodes(server: str) -> tuple[int, list[str]]:
    code, found = deploy(server)
    return code, [words for words in found if " jobs could run" not in words and " job could run" not in words]


@pytest.mark.usefixtures("client")
async def test_nodes_that_have_not_started_are_looked_at_too(server: str) -> None:
    url = b'{"url":"https://a"}'
    fits = {"id": "a", "kind": "report.import", "payload": Raw(url)}
    late = {"id": "b", "kind": "report.import", "payload": {"url": documents.result("a.result")}, "after": ["a"]}
    await workflow(server, fits, late)
    assert of_nodes(server) == (0, ["ok 2 pending nodes could run"])
    wrong = [{**fits, "id": "c", "after": ["b"], "payload": {}}, {"id": "d", "kind": "old.kind", "after": ["b"]}]
    mapped = {"id": "e", "kind": "old.items", "after": ["a"], "map": {"over": "a.result"}}
    undone = {**fits, "id": "f", "compensate": "old.undo"}
    other = await workflow(server, fits, late, *wrong, mapped, undone, on_failure="old.told")
    code, found = of_nodes(server)
    assert code == 1
    lacks, refuses = "which this application does not have", "with a payload that its handler refuses"
    assert found == [
        f"fail 1 pending node of kind 'report.import' {refuses}: {other} c (url: required, but missing)",
        f"fail 1 pending node of kind 'old.kind', {lacks}: {other} d",
        f"fail 1 pending node of kind 'old.items', {lacks}: {other} e",
        f"warn 1 job that may follow of kind 'old.told', {lacks}: {other}",
        f"warn 1 job that may follow of kind 'old.undo', {lacks}: {other} f",
    ]
