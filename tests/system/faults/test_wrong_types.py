"""Each key replaced by one of another type under a running node: nothing is half stored, and all of it can be mended.

What needs the key is refused in words or waits, `ironforge doctor` names the key and says what to do, and once that is
done the same node does everything again by itself, what had to wait included.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from ironforge.api.problems import explain
from ironforge.doctor import Finding, examine
from ironforge.errors import JobNotFound, StoreError
from ironforge.job.record import JobState
from ironforge.lock import Locks
from ironforge.redis.keys import MINUTE_MS, Keys
from ironforge.redis.ring_keys import RingKeys
from ironforge.store import Submission
from tests.actors.node.kit import QUICK, Gate, World, until
from tests.store.kit import job
from tests.support.servers import valkey


def of_node(world: World) -> str:
    (node,) = world.cluster.raw.zrange(world.cluster.keys.nodes, 0, -1)
    return world.cluster.keys.fence(node.decode())


def of_minute(world: World) -> str:
    return world.cluster.keys.done(str(int(world.cluster.raw.time()[0]) * 1000 // MINUTE_MS))


def plain(name: str) -> Callable[[World], str]:
    return lambda world: getattr(world.cluster.keys, name)


# What a submission with a delay needs, and what else a node needs.
SUBMITTING = ("index", "scheduled", "parked", "delayed", "queues", "totals")
OTHERS = ("dead", "buckets", "nodes", "roster", "epoch", "paused", "groups", "quarantine")
KEYS = {
    "stream": lambda world: world.cluster.keys.stream("default:2"),
    "redelivery stream": lambda world: world.cluster.keys.stream("default:2r"),
    "fair": lambda world: world.cluster.keys.fair("default:2"),
    "done": of_minute,
    "fence": of_node,
    **{name: plain(name) for name in (*SUBMITTING, *OTHERS)},
}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    with valkey() as url:
        world = World(url)
        world.change(concurrency=2, lease_seconds=1.0)
        world.cluster.checked = False
        yield world
        await world.close()


def spoil(world: World, key: str) -> None:
    """What stood there is gone, as after a careless SET or RENAME."""
    spec = world.cluster.keys.spec_of(key)
    assert spec is not None
    raw = world.cluster.raw
    raw.delete(key)
    raw.rpush(key, "somebody's", "list") if spec.type == "string" else raw.set(key, "somebody's text")


def repair(world: World, finding: Finding) -> None:
    """Exactly what the doctor says."""
    assert "RENAME" in finding.fix
    for command in finding.fix.split(": ", 1)[1].split("; then "):
        words = command[command.index("RENAME" if "RENAME" in command else "SET") :].replace("'", "").split()
        world.cluster.raw.execute_command(*words)


async def findings(world: World, key: str) -> list[Finding]:
    return [one for one in await examine(world.settings) if one.check == "keys" and key in one.message]


async def ended(world: World, job_id: str) -> bool:
    """Its record may have to wait in the node."""
    with contextlib.suppress(JobNotFound):
        return await world.state(job_id) is JobState.COMPLETED
    return False


@pytest.mark.parametrize("name", KEYS)
async def test_all_goes_on_by_itself_once_the_doctor_was_obeyed(world: World, name: str) -> None:
    gate = Gate()

    @world.forge.job("gated")
    async def gated() -> None:
        await gate.pass_through()

    async with world.node() as node:
        running = await world.submit("gated")
        await until(lambda: gate.entered, "the node to be busy")
        key = KEYS[name](world)
        spoil(world, key)
        gate.open()
        (finding,) = await findings(world, key)
        assert finding.level == "fail"
        repair(world, finding)
        assert await findings(world, key) == []
        await until(lambda: ended(world, running), "the job that ran meanwhile to end")
        after = await world.completed(await world.submit("note", "after"))
        assert msgspec.json.decode(after.job.result) == "after"
        await world.completed(await world.submit("note", "delayed", delay_seconds=0.01))
        await until(lambda: node.problems() == [], "the node to be ready")


@pytest.mark.parametrize("name", SUBMITTING)
async def test_a_submission_is_refused_as_a_whole_and_in_words(world: World, name: str) -> None:
    spoil(world, getattr(world.cluster.keys, name))
    before = world.cluster.snapshot()
    with pytest.raises(StoreError) as refused:
        await world.cluster.submit(job(), job(queue="other"), delay_ms=1)
    assert world.cluster.snapshot() == before
    problem = explain(refused.value, "request")
    assert problem.status == 503
    assert problem.code == "store_refused"
    assert f"{name} is a string and must be a" in problem.detail
    assert "ironforge doctor" in problem.detail


@pytest.mark.parametrize("name", ["stream", "paused", "scheduled"])
async def test_a_waiting_node_says_why(world: World, name: str, caplog: pytest.LogCaptureFixture) -> None:
    def told() -> list[Any]:
        return [one.msg for one in caplog.records if "wrong_type" in str(one.msg)]

    async with world.node():
        spoil(world, KEYS[name](world))
        await until(told, "the node to tell that it waits")
        assert "ironforge doctor" in str(told()[0])
        world.cluster.raw.delete(KEYS[name](world))


@pytest.mark.parametrize("name", ["index", "scheduled", "parked"])
async def test_a_failed_attempt_waits_in_its_node_for_the_key(world: World, name: str) -> None:
    gate = Gate()

    @world.forge.job("flaky", backoff=QUICK)
    async def flaky() -> str:
        if not gate.left:
            await gate.pass_through()
            raise ValueError("the first time")
        return "well"

    async with world.node():
        job_id = await world.submit("flaky")
        await until(lambda: gate.entered, "it to run")
        key = KEYS[name](world)
        spoil(world, key)
        gate.open()
        await until(lambda: gate.left, "it to fail")
        world.cluster.raw.delete(key)
        await until(lambda: ended(world, job_id), "it to be retried")
        assert (await world.get(job_id)).job.attempt == 1


async def test_unreadable_bytes_wait_for_the_quarantine(world: World) -> None:
    raw, keys = world.cluster.raw, world.cluster.keys
    spoil(world, keys.quarantine)
    for _ in range(40):
        raw.xadd(keys.stream("default:2"), {"j": b"\xc1"})
    async with world.node():
        await until(lambda: raw.xpending(keys.stream("default:2"), "nodes")["pending"], "them to be read")
        assert raw.xlen(keys.stream("default:2")) == 40
        raw.delete(keys.quarantine)
        await until(lambda: raw.xlen(keys.quarantine) == 40, "them to be put aside")


async def test_merged_submissions_do_not_share_the_fate_of_a_queue(world: World) -> None:
    spoil(world, world.cluster.keys.stream("default:2"))
    submit = world.cluster.store_client.producer.submit
    jobs = [job(queue=queue) for queue in ("other", "default", "other", "default")]
    answers = await asyncio.gather(*(submit([Submission(one)]) for one in jobs), return_exceptions=True)
    assert [isinstance(answer, StoreError) for answer in answers] == [False, True, False, True]
    assert "default:2 is a string and must be a stream" in str(answers[1])
    assert set(world.cluster.raw.hkeys(world.cluster.keys.index)) == {one.id for one in jobs if one.queue == "other"}


async def test_an_idempotency_key_of_the_wrong_type_refuses_that_key_alone(world: World) -> None:
    keys: Keys = world.cluster.keys
    mine = keys.idempotency(hashlib.sha256(b"mine").hexdigest())
    spoil(world, mine)
    submit = world.cluster.store_client.producer.submit
    before = world.cluster.snapshot()
    with pytest.raises(StoreError, match="WRONGTYPE"):
        await submit([Submission(job(), idempotency_key="mine"), Submission(job())])
    assert world.cluster.snapshot() == before
    await submit([Submission(job(), idempotency_key="another")])
    assert len(await findings(world, mine)) == 1


async def test_a_lock_of_the_wrong_type_is_refused_in_words(world: World) -> None:
    key = world.cluster.keys.lock("mine")
    spoil(world, key)
    locks = Locks(world.settings)
    with pytest.raises(StoreError, match="lock:mine is a list"):
        async with locks("mine", ttl_seconds=5.0, wait_seconds=0.0):
            pass
    await locks.close()
    assert len(await findings(world, key)) == 1


@pytest.mark.parametrize("name", ["records", "used", "makers", "quotas"])
async def test_the_doctor_names_a_key_that_all_namespaces_share(world: World, name: str) -> None:
    key = getattr(RingKeys(), name)
    world.cluster.raw.set(key, "somebody's text")
    (finding,) = await findings(world, key)
    assert finding.level == "fail"
    repair(world, finding)
    assert await findings(world, key) == []
