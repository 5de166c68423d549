"""`ironforge doctor` against servers with one thing wrong each."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import redis

from ironforge.cli.direct import server_of
from ironforge.job.definition import Announcement
from ironforge.job.limits import Limit
from ironforge.job.record import Job, encode, new_id
from ironforge.redis.keys import Keys
from ironforge.settings import load
from ironforge.store import NodeStore, StoreClient, Submission
from tests.cli.kit import Dev, eventually, ironforge
from tests.store.declining import declined

pytestmark = pytest.mark.slow

KEYS = Keys("default")


def doctor(server: str, **settings: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
    """The exit code, and the findings by check."""
    done = ironforge("doctor", "--json", redis_url=server, **settings)
    findings: dict[str, list[dict[str, str]]] = {}
    for finding in json.loads(done.stdout):
        findings.setdefault(finding["check"], []).append(finding)
    return done.returncode, findings


async def submit(server: str, **options: int) -> bytes:
    """One job that waits, put there by the store itself."""
    job_id = new_id()
    store_client = StoreClient(load({}, redis_url=server))
    job = Job(2, job_id, "a.kind", "default", 2, b"null", int(time.time() * 1000))
    await store_client.producer.submit([Submission(job, **options)])
    await store_client.close()
    return job_id


def test_a_running_dev_is_found_and_healthy(dev: Dev, tmp_path: Path):
    line = str(eventually(lambda: next((line for line in list(dev.stdout) if "Data:" in line), ""), "the whole banner"))
    folder = line.split("Data:")[1].split("(", maxsplit=1)[0].strip()
    done = ironforge("doctor", "--data-dir", folder)
    assert done.returncode == 0
    assert "fail" not in done.stdout
    assert "nodes: 1 running" in done.stdout
    assert server_of(load({}, data_dir=str(tmp_path))).redis_url == "redis://127.0.0.1:6379/0"


@pytest.mark.usefixtures("client")
async def test_a_sound_server_without_nodes_is_only_a_warning(server: str):
    await submit(server)
    code, found = doctor(server)
    assert code == 0
    assert {
        level: [check for check, several in found.items() for each in several if each["level"] == level]
        for level in ("warn", "fail")
    } == {"warn": ["nodes"], "fail": []}
    assert found["nodes"][0]["fix"] == "ironforge node APP"


@pytest.mark.usefixtures("client")
async def test_jobs_that_expire_and_that_nothing_looks_for_are_a_warning(client: redis.Redis, server: str):
    job_id = await submit(server, expires_in_ms=60_000)
    assert doctor(server)[1]["expiry"][0]["level"] == "ok"
    client.zadd(KEYS.expiries, {job_id: int(time.time() * 1000) - 60_000})
    [finding] = doctor(server)[1]["expiry"]
    assert finding["level"] == "warn"
    assert finding["message"].startswith("for 6")
    assert finding["fix"] == "ironforge node APP, or ironforge api"


@pytest.mark.usefixtures("client")
async def test_jobs_whose_kind_no_node_runs_are_a_warning(server: str):
    await submit(server)
    node = NodeStore(load({}, redis_url=server), announced=[])
    lease = await node.leases.join()
    work = node.work(lease)
    await work.decline([declined(each) for each in await work.fetch(1)])
    [_, finding] = doctor(server)[1]["queues"]
    await node.close()
    assert (finding["level"], finding["fix"]) == ("warn", "ironforge node APP")
    assert finding["message"] == "1 declined job, for no node that serves their queue runs their kind"


@pytest.mark.usefixtures("client")
async def test_a_limit_that_an_operator_put_over_what_code_defines_is_a_warning(server: str):
    store_client, limit = StoreClient(load({}, redis_url=server)), Announcement.of_limit("one", Limit(concurrency=2))
    await store_client.limits.announce(limit)
    node = NodeStore(load({}, redis_url=server), limits=[limit])
    await node.leases.join()
    assert doctor(server)[1]["definitions"] == [
        {"level": "ok", "check": "definitions", "message": "1 limit", "fix": ""}
    ]
    await store_client.limits.put("one", Limit(concurrency=3))
    [finding] = doctor(server)[1]["definitions"]
    await node.close()
    await store_client.close()
    assert finding["level"] == "warn"
    assert finding["message"] == "limit one is as an operator put it, and not as the code of running nodes defines it"


def test_a_server_that_would_throw_jobs_away_fails_with_the_command_that_repairs_it(client: redis.Redis, server: str):
    client.config_set("maxmemory-policy", "allkeys-lru")
    code, found = doctor(server)
    assert code == 1
    [finding] = found["server settings"]
    assert finding["message"] == "maxmemory-policy is allkeys-lru, and a full server would throw jobs away"
    assert "CONFIG SET maxmemory-policy noeviction" in finding["fix"]
    people = ironforge("doctor", redis_url=server)
    assert people.returncode == 1
    assert "fail  server settings" in people.stdout
    assert "-> redis-cli" in people.stdout


def test_missing_persistence_is_a_warning_or_a_failure_as_the_durability_wants(client: redis.Redis, server: str):
    client.config_set("appendonly", "no")
    code, found = doctor(server)
    assert code == 0
    assert found["server settings"][0]["level"] == "warn"
    code, found = doctor(server, durability="local")
    assert code == 1
    assert found["server settings"][0]["level"] == "fail"


@pytest.mark.parametrize(
    ("durability", "name", "value"),
    [("local", "appendfsync", "everysec"), ("local", "no-appendfsync-on-rewrite", "yes"), ("replicated", "", "")],
)
def test_a_durability_that_the_server_does_not_keep_fails(
    client: redis.Redis, server: str, durability: str, name: str, value: str
):
    needed = {"appendonly": "yes", "appendfsync": "always"}
    before = {key: client.config_get(key)[key] for key in (*needed, name) if key}
    for key, wanted in {**needed, **({name: value} if name else {})}.items():
        client.config_set(key, wanted)
    code, found = doctor(server, durability=durability)
    for key, old in before.items():
        client.config_set(key, old)
    [finding] = found["server settings"]
    assert code == 1
    assert finding["level"] == "fail"
    assert f"CONFIG SET {name} " in finding["fix"] if name else "IRONFORGE_REPLICAS" in finding["message"]


def test_a_server_that_does_not_answer_is_3_and_its_password_is_not_shown():
    done = ironforge("doctor", redis_url="redis://user:secret@127.0.0.1:1/0")
    assert done.returncode == 3
    assert "redis-cli -h 127.0.0.1 -p 1 PING" in done.stdout
    assert "secret" not in done.stdout + done.stderr


@pytest.mark.usefixtures("client")
def test_what_the_user_of_the_server_may_not_ask_is_a_failed_check(client: redis.Redis, server: str):
    client.execute_command("ACL", "SETUSER", "weak", "on", ">pw", "~*", "&*", "+@all", "-time")
    code, found = doctor(server + "?username=weak&password=pw")
    assert code == 1
    assert "could not be examined" in found["clock"][0]["message"]


def test_a_misspelt_setting_is_named(server: str):
    _, found = doctor(server, concurency="3")
    [finding] = found["settings"]
    assert finding["message"] == "IRONFORGE_CONCURENCY is no setting"
    assert "IRONFORGE_CONCURRENCY" in finding["fix"]


def test_an_expired_lease_and_a_consumer_that_is_no_node_are_named(client: redis.Redis, server: str):
    now_ms = int(time.time() * 1000)
    client.zadd(KEYS.nodes, {"gone.1": now_ms - 60_000})
    client.sadd(KEYS.queues, "default")
    client.xgroup_create(KEYS.stream("default:2"), "nodes", "0", mkstream=True)
    client.xgroup_createconsumer(KEYS.stream("default:2"), "nodes", "stray.1")
    code, found = doctor(server)
    assert code == 0
    assert "the lease of gone.1 ran out 6" in found["leases"][0]["message"]
    assert "stray.1" in found["consumers"][0]["message"]


def test_bytes_that_were_no_job_are_reported_with_the_command_that_shows_them(client: redis.Redis, server: str):
    client.xadd(KEYS.quarantine, {"record": b"?"})
    _, found = doctor(server)
    assert "1 record" in found["quarantine"][0]["message"]
    assert KEYS.quarantine in found["quarantine"][0]["fix"]


async def test_waiting_for_long_overdue_and_dead_jobs_are_warnings(client: redis.Redis, server: str):
    old = Job(1, new_id(), "a.kind", "default", 2, b"null", 1)
    client.xadd(KEYS.stream(old.stream), {"j": encode(old)}, id="1-1")
    client.hset(KEYS.index, old.id, f"q:{old.stream}:1-1")
    client.sadd(KEYS.queues, "default")
    _, found = doctor(server)
    assert "--queues default" in found["queues"][1]["fix"]
    store_client = StoreClient(load({}, redis_url=server))
    await store_client.producer.set_paused("default", paused=True)
    await store_client.close()
    late, dead = await submit(server, delay_ms=600_000), await submit(server, delay_ms=600_000)
    client.zadd(KEYS.scheduled, {late: int(time.time() * 1000) - 60_000})
    client.zrem(KEYS.scheduled, dead)
    client.zadd(KEYS.dead, {dead: 1})
    client.hset(KEYS.index, dead, "d")
    code, found = doctor(server)
    assert code == 0
    assert "has waited for" in found["queues"][1]["message"]
    assert found["queues"][0]["message"] == "1 waiting job; paused: default"
    assert found["queues"][1]["fix"] == "ironforge queues resume default"
    assert "due for 6" in found["schedule"][0]["message"]
    assert found["dead letter"][0]["message"] == "1 job gave up"


async def test_an_index_that_disagrees_with_the_streams_fails(client: redis.Redis, server: str):
    queued = await submit(server)
    client.hset(KEYS.index, queued, "q:default:2:1-1")
    client.hset(KEYS.index, new_id(), "s:default:2")
    client.hset(KEYS.parked, new_id(), encode(Job(1, new_id(), "a.kind", "default", 2, b"null", 0)))
    code, found = doctor(server)
    assert code == 1
    problems = " / ".join(finding["message"] for finding in found["data"])
    assert "the index knows 2 jobs, but there are 1 in streams" in problems
    assert "1 record for 0 scheduled, 0 waiting and 0 dead jobs, which are parked" in problems
    assert problems.count("is not where the index says") == 2


def test_what_is_held_for_jobs_that_are_gone_fails(client: redis.Redis, server: str):
    client.hset(KEYS.in_use, "stripe\nacct_42", "")
    client.zadd(KEYS.holders("stripe\nacct_42"), {new_id(): 1})
    client.sadd(KEYS.unique("charge:a"), new_id())
    client.sadd(KEYS.unique("charge:timed"), new_id())
    client.pexpire(KEYS.unique("charge:timed"), 60_000)
    code, found = doctor(server)
    assert code == 1
    assert [finding["message"].partition(" for job ")[0] for finding in found["limits"]] == [
        "limit stripe, key 'acct_42' has a place"
    ]
    assert "ironforge node APP" in found["limits"][0]["fix"]
    assert [finding["message"].partition(" by job ")[0] for finding in found["unique"]] == [
        "unique key 'charge:a' is held"
    ]
    assert "next submission" in found["unique"][0]["fix"]


def test_a_clock_that_is_off_is_a_warning():
    # No server's clock can be set here: the finding is made from the two times.
    from ironforge.doctor import clock_finding

    assert clock_finding(0.2, 0.0).level == "ok"
    assert clock_finding(-3.0, 0.1).message == "the server's clock is 3.0 s behind this machine's"
    assert clock_finding(3.0, 5.0).level == "ok"


def test_jobs_that_no_running_node_takes_are_a_warning(tmp_path: Path):
    with Dev(tmp_path) as dev:
        dev.submit("demo.noop", queue="invoices")
        done = ironforge("doctor", "--data-dir", str(tmp_path / "data"))
    assert "queue invoices has 1 waiting job, and no running node serves it" in done.stdout
    assert "ironforge node APP --queues invoices" in done.stdout
