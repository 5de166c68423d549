"""`ironforge keys`, `quotas` and `audit`, as the operator uses them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from subprocess import CompletedProcess
from typing import Any, NamedTuple

import pytest
import redis

from ironforge.auth.api_keys import ApiKeys
from ironforge.auth.credentials import read_key
from ironforge.job.request import JobRequest
from ironforge.redis.keys import Keys
from ironforge.schedules.definition import Schedule
from ironforge.settings import Settings
from ironforge.store import StoreClient
from tests.cli.kit import Dev, eventually, ironforge
from tests.support.servers import valkey

pytestmark = pytest.mark.slow

PEPPER = "0123456789abcdef0123456789abcdef"
Run = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with valkey() as url:
        yield url


@pytest.fixture
def run(server: str) -> Run:
    with redis.Redis.from_url(server) as client:
        client.flushall()
    return lambda *arguments, **settings: ironforge(
        *arguments, **{"redis_url": server, "key_pepper": PEPPER, **settings}
    )


def document(done: CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_key_from_its_making_to_its_end(run: Run) -> None:
    made = document(run("keys", "create", "billing", "--scope", "jobs:submit,jobs:read", "--queue", "a", "--json"))
    key = read_key(made["key"])
    assert key is not None
    assert key.id == made["id"]
    assert made["scopes"] == ["jobs:submit", "jobs:read"]
    assert set(made) == {"id", "key", "name", "scopes", "queues", "expires_at", "quota"}
    [listed] = document(run("keys", "list", "--json"))["keys"]
    assert listed["id"] == key.id
    assert listed["name"] == "billing"
    assert listed["queues"] == ["a"]
    assert listed["expires_at"] is None
    shown = run("keys", "list").stdout
    assert key.id in shown
    assert "never" in shown
    assert key.secret not in shown

    assert run("keys", "revoke", key.id, namespace="other").returncode == 4
    assert run("keys", "revoke", key.id).returncode == 0
    assert run("keys", "revoke", key.id).returncode == 4
    assert "has no keys" in run("keys", "list").stderr


def test_a_revoked_key_says_which_schedules_were_put_with_it(run: Run, server: str) -> None:
    key = document(run("keys", "create", "n", "--scope", "schedules:admin", "--json"))["id"]

    async def put() -> None:
        store_client = StoreClient(Settings(redis_url=server))
        schedule = Schedule(job=JobRequest(kind="k"), every_seconds=60.0)
        for name, by in (("mine", f"key:{key}(n)"), ("theirs", "key:other(n)")):
            await store_client.schedules.put(name, schedule, by=by)
        await store_client.close()

    asyncio.run(put())
    said = run("keys", "revoke", key).stderr
    assert "schedule mine was put with it, and goes on: `ironforge schedules pause mine` stops it" in said
    assert "theirs" not in said


def test_a_revoked_key_takes_its_children_along_unless_told_otherwise(run: Run, server: str) -> None:
    made = [child_of(document(run("keys", "create", "n", "--scope", "keys:admin", "--json"))["id"], server)]
    made.append(child_of(document(run("keys", "create", "m", "--scope", "keys:admin", "--json"))["id"], server))
    assert all(one["made_by"].startswith("cli:") for one in document(run("keys", "list", "--json"))["keys"][::2])
    kept = run("keys", "revoke", made[0].maker, "--children", "keep")
    gone = run("keys", "revoke", made[1].maker)

    assert kept.returncode == 0
    assert gone.returncode == 0
    assert made[0].id not in kept.stderr
    assert made[1].id in gone.stderr
    assert [one["id"] for one in document(run("keys", "list", "--json"))["keys"]] == [made[0].id]
    revoked = [one["target"] for one in document(run("audit", "list", "--json"))["entries"][:3]]
    assert revoked == [made[1].id, made[1].maker, made[0].maker]


class Made(NamedTuple):
    id: str
    maker: str


def child_of(key_id: str, server: str) -> Made:
    async def make() -> str:
        ring = ApiKeys(Settings(redis_url=server, key_pepper=PEPPER))
        record = await ring.find(key_id)
        assert record is not None
        _, child = await ring.create("default", f"of-{key_id}", ["keys:admin"], maker=record.caller())
        await ring.close()
        return child.id

    return Made(asyncio.run(make()), key_id)


def test_the_key_alone_is_on_stdout(run: Run) -> None:
    done = run("keys", "create", "billing", "--scope", "jobs:submit")

    assert read_key(done.stdout.strip())
    assert "cannot be shown again" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("keys", "create", "a b", "--scope", "jobs:read"), 2, "is not a name"),
        (("keys", "create", "n", "--scope", "jobs:all"), 2, "choose from jobs:submit"),
        (("keys", "create", "n"), 2, "--scope"),
        (("keys", "create", "n", "--scope", "jobs:read", "--expires-seconds", "0"), 2, "out of range"),
        (("quotas", "set", "--burst", "3"), 2, "submissions_per_second"),
        (("quotas", "set", "--stored-jobs", "0"), 2, "stored_jobs"),
    ],
)
def test_what_makes_no_sense_is_refused(run: Run, arguments: tuple[str, ...], code: int, says: str) -> None:
    done = run(*arguments)

    assert done.returncode == code
    assert says in done.stderr


@pytest.mark.parametrize("arguments", [("keys", "create", "n", "--scope", "jobs:read"), ("audit", "verify")])
def test_without_the_pepper_nothing_is_made_or_judged(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(*arguments, key_pepper="")

    assert done.returncode == 2
    assert "IRONFORGE_KEY_PEPPER" in done.stderr


def test_the_third_key_of_a_name_conflicts(run: Run) -> None:
    codes = [run("keys", "create", "n", "--scope", "jobs:read").returncode for _ in range(3)]

    assert codes == [0, 0, 5]


def test_quotas_are_set_and_taken_back(run: Run) -> None:
    assert "has no limits" in run("quotas", "show").stderr
    assert run("quotas", "set", "--submissions-per-second", "2.5", "--stored-jobs", "100").returncode == 0
    assert document(run("quotas", "show", "--json")) == {"submissions_per_second": 2.5, "stored_jobs": 100}
    assert "stored_jobs" in run("quotas", "show").stdout
    assert run("quotas", "set").returncode == 0
    assert document(run("quotas", "show", "--json")) == {}


def test_what_the_operator_does_is_on_record_and_tampering_shows(run: Run, server: str) -> None:
    made = document(run("keys", "create", "billing", "--scope", "jobs:submit", "--json"))
    run("quotas", "set", "--stored-jobs", "1")
    entries = document(run("audit", "list", "--json"))["entries"]
    assert [(one["action"], one["target"]) for one in entries] == [("setQuota", "default"), ("createKey", made["id"])]
    assert all(one["who"].startswith("cli:") for one in entries)
    assert made["id"] in run("audit", "list").stdout
    assert "is whole: 2 entries" in run("audit", "verify").stdout

    with redis.Redis.from_url(server) as client:
        [first, *_] = client.xrange(Keys("default").audit)
        client.xdel(Keys("default").audit, first[0])
    done = run("audit", "verify", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["problems"] == ["there should be 2 entries, there are 1"]


def test_dev_asks_who_is_calling_when_told_to(tmp_path: Any) -> None:
    """The commands find the server of a running `ironforge dev` by its data folder."""
    with Dev(tmp_path, "--auth", "on", key_pepper=PEPPER) as dev:
        eventually(lambda: "ironforge keys create" in "".join(list(dev.stdout)), "the banner to say how")
        folder = str(tmp_path / "data")
        key = ironforge("keys", "create", "me", "--scope", "jobs:submit,jobs:read", key_pepper=PEPPER, data_dir=folder)
        assert key.returncode == 0, key.stderr
        done = ironforge("submit", "demo.echo", "1", "--wait", "--json", url=dev.url, api_key=key.stdout.strip())
        assert document(done)["status"] == "completed"
        one = ironforge(
            "keys", "create", "one", "--scope", "jobs:read", "--queue", "a", key_pepper=PEPPER, data_dir=folder
        )
        stats = ironforge("stats", url=dev.url, api_key=one.stdout.strip())
        assert "totals are not shown: this key is limited to some queues" in stats.stdout
        nobody = ironforge("jobs", "list", url=dev.url)
        assert nobody.returncode == 1
        assert "take from IRONFORGE_API_KEY (401" in nobody.stderr
        dev.get("/livez")
