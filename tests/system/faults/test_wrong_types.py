"""Each key replaced by one of another type under a running node: what needs it waits, everything else goes on.

The table says of every key what still works. Whatever a call does not do it refuses in words, `ironforge doctor` names
the key, and once it is out of the way the same node does everything again, what had to wait included.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.resources import files
from typing import NamedTuple

import msgspec
import pytest

from ironforge.api.problems import explain
from ironforge.doctor import Finding, examine
from ironforge.errors import InvalidState, JobNotFound, StoreError
from ironforge.job.record import JobState, encode, parse_id
from ironforge.lock import Locks
from ironforge.redis.keys import MINUTE_MS, Keys
from ironforge.redis.scripts import TYPES
from ironforge.store import Submission
from tests.actors.node.kit import QUICK, Gate, World, until
from tests.store.kit import job
from tests.support.servers import valkey

QUEUES = ("default", "other")


class Case(NamedTuple):
    """`submits` and `delays`: a job without and with a delay is accepted. `finds`: it can be looked up."""

    key: Callable[[World], str]
    submits: bool = True
    delays: bool = True
    finds: bool = True


def plain(name: str) -> Callable[[World], str]:
    return lambda world: getattr(world.cluster.keys, name)


def of_node(world: World) -> str:
    (node,) = world.cluster.raw.zrange(world.cluster.keys.nodes, 0, -1)
    return world.cluster.keys.fence(node.decode())


def of_minute(world: World) -> str:
    minute = int(world.cluster.raw.time()[0]) * 1000 // MINUTE_MS
    return world.cluster.keys.bucket("kept", minute)


CASES = {
    "stream": Case(lambda world: world.cluster.keys.stream("default:2")),
    "twin": Case(lambda world: world.cluster.keys.stream("default:2r")),
    "fair": Case(lambda world: world.cluster.keys.fair("default:2")),
    "turns": Case(lambda world: world.cluster.keys.turns("default:2")),
    "index": Case(plain("index"), submits=False, delays=False, finds=False),
    "scheduled": Case(plain("scheduled"), delays=False),
    "parked": Case(plain("parked"), delays=False),
    "dead": Case(plain("dead")),
    "kept": Case(of_minute),
    "buckets": Case(plain("buckets")),
    "nodes": Case(plain("nodes")),
    "fence": Case(of_node),
    "epoch": Case(plain("epoch")),
    "queues": Case(plain("queues")),
    "paused": Case(plain("paused")),
    "totals": Case(plain("totals")),
    "quarantine": Case(plain("quarantine")),
}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    with valkey() as url:
        world = World(url)
        world.change(queues=QUEUES, concurrency=2, lease_seconds=1.0)
        world.cluster.checked = False
        yield world
        await world.close()


def spoil(world: World, key: str) -> None:
    """What stood there is gone, as after a careless SET or RENAME."""
    raw = world.cluster.raw
    raw.delete(key)
    if TYPES[key.removeprefix(world.cluster.keys.prefix).partition(":")[0]] == "string":
        raw.rpush(key, "somebody's", "list")
    else:
        raw.set(key, "somebody's text")


def repair(world: World, finding: Finding) -> None:
    """Exactly what the doctor says."""
    assert "RENAME" in finding.fix
    for command in finding.fix.split(": ", 1)[1].split("; then "):
        words = command[command.index("RENAME" if "RENAME" in command else "SET") :].replace("'", "").split()
        world.cluster.raw.execute_command(*words)


async def findings(world: World, key: str) -> list[Finding]:
    return [one for one in await examine(world.settings) if one.check == "keys" and key in one.message]


async def refused_in_words(call: Callable[[], Awaitable[object]]) -> bool:
    """Whether it was refused; a refusal becomes an HTTP answer that is no failure of ours."""
    refusal: Exception | None = None
    try:
        await call()
    except (StoreError, JobNotFound, InvalidState) as error:
        refusal = error
    return refusal is not None and explain(refusal, "request").status in (404, 409, 503)


@pytest.mark.parametrize("name", CASES)
async def test_what_does_not_need_the_key_goes_on(world: World, name: str) -> None:
    case, gate = CASES[name], Gate()
    store_client = world.cluster.store_client

    @world.forge.job("gated", queue="other")
    async def gated() -> None:
        await gate.pass_through()

    async with world.node() as node:
        running = [await world.submit("gated") for _ in range(2)]
        await until(lambda: len(gate.entered) == 2, "the node to be busy")
        await world.submit("note", "waiting", queue="other")
        key = case.key(world)
        spoil(world, key)
        gate.open()
        await until(lambda: "waiting" in world.ran, "the job that waited to run")

        assert case.submits is not await refused_in_words(lambda: world.submit("note", "new", queue="other"))
        assert case.delays is not await refused_in_words(
            lambda: world.submit("note", "late", queue="other", delay_seconds=0.01)
        )
        assert case.finds is not await refused_in_words(lambda: store_client.inspector.get(parse_id(running[0])))
        for look in (store_client.inspector.stats, store_client.inspector.nodes, store_client.inspector.jobs):
            await refused_in_words(look)
        for state in JobState:
            await refused_in_words(lambda: store_client.inspector.jobs(state=state))  # noqa: B023 - called at once
        await refused_in_words(lambda: world.cancel(running[0]))
        await refused_in_words(lambda: world.revive(running[0], reset_retry_count=True))
        if case.submits:
            await until(lambda: "new" in world.ran, "the new job to run")

        if name != "fence":  # its node has forgotten it already, and begun anew
            (finding,) = await findings(world, key)
            assert finding.level == "fail"
            repair(world, finding)
        assert await findings(world, key) == []
        assert msgspec.json.decode((await world.completed(await world.submit("note", "after"))).job.result) == "after"
        await world.completed(await world.submit("note", "delayed", delay_seconds=0.01))
        await until(lambda: node.problems() == [], "the node to be ready")


async def settled(world: World, job_id: str) -> bool:
    with contextlib.suppress(JobNotFound):
        return await world.state(job_id) is JobState.COMPLETED
    return False


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
        key = CASES[name].key(world)
        spoil(world, key)
        gate.open()
        await world.submit("note", "beside", queue="other") if name != "index" else None
        await until(lambda: gate.left, "it to fail")
        if name != "index":
            await until(lambda: "beside" in world.ran, "other jobs to run")
        world.cluster.raw.delete(key)
        await until(lambda: settled(world, job_id), "it to be retried")
        assert (await world.get(job_id)).job.attempt == 1


async def test_a_running_job_whose_stream_is_replaced_is_still_retried(world: World) -> None:
    """The node has its record in hand, and the index says that nobody else has moved it."""
    gate = Gate()

    @world.forge.job("flaky", backoff=QUICK)
    async def flaky() -> None:
        if not gate.left:
            await gate.pass_through()
            raise ValueError("the first time")

    async with world.node():
        job_id = await world.submit("flaky")
        await until(lambda: gate.entered, "it to run")
        stream = world.cluster.keys.stream("default:2")
        spoil(world, stream)
        gate.open()
        raw, keys = world.cluster.raw, world.cluster.keys
        await until(lambda: [parse_id(job_id)] == raw.zrange(keys.scheduled, 0, -1), "it to be scheduled")
        raw.delete(stream)
        world.cluster.ripen()
        await world.completed(job_id)


async def test_a_job_that_is_due_for_a_replaced_stream_holds_nobody_up(world: World) -> None:
    stream = world.cluster.keys.stream("default:2")
    spoil(world, stream)
    world.cluster.raw.sadd(world.cluster.keys.queues, *QUEUES)
    await world.submit("note", "held up", queue="other", delay_seconds=0.01)
    one = job(kind="note")
    world.cluster.raw.hset(world.cluster.keys.parked, one.id, encode(one))
    world.cluster.raw.hset(world.cluster.keys.index, one.id, b"s:default:2")
    world.cluster.raw.zadd(world.cluster.keys.scheduled, {one.id: 1})
    async with world.node():
        await until(lambda: "held up" in world.ran, "the other one to run")
        assert await world.cluster.state(one) is JobState.SCHEDULED
        world.cluster.raw.delete(stream)
        world.cluster.ripen()
        await world.completed(one.text_id)


async def test_submissions_of_one_flight_do_not_share_the_fate_of_a_queue(world: World) -> None:
    spoil(world, world.cluster.keys.stream("default:2"))
    submit = world.cluster.store_client.producer.submit
    jobs = [job(queue=queue) for queue in ("other", "default", "other", "default")]
    answers = await asyncio.gather(*(submit([Submission(one)]) for one in jobs), return_exceptions=True)
    assert [isinstance(answer, StoreError) for answer in answers] == [False, True, False, True]
    assert "default:2 is a string and must be a stream" in str(answers[1])
    assert set(world.cluster.raw.hkeys(world.cluster.keys.index)) == {one.id for one in jobs if one.queue == "other"}


@pytest.mark.slow
async def test_unreadable_bytes_wait_for_the_quarantine_and_nobody_waits_for_them(world: World) -> None:
    raw, keys = world.cluster.raw, world.cluster.keys
    spoil(world, keys.quarantine)
    for _ in range(40):
        raw.xadd(keys.stream("default:2"), {"j": b"\xc1"})
    async with world.node():
        await world.completed(await world.submit("note", "beside"))
        assert raw.xlen(keys.stream("default:2")) == 40
    raw.delete(keys.quarantine)
    async with world.node():
        await until(lambda: raw.xlen(keys.quarantine) == 40, "them to be put aside")


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
    key = world.cluster.keys.prefix + "lock:mine"
    spoil(world, key)
    locks = Locks(world.settings)
    with pytest.raises(StoreError, match="lock:mine is a list"):
        async with locks("mine", ttl_seconds=5.0, wait_seconds=0.0):
            pass
    await locks.close()
    assert len(await findings(world, key)) == 1


def test_every_type_has_its_consequence_written_down() -> None:
    from ironforge.redis.key_types import CONSEQUENCES

    assert CONSEQUENCES.keys() == TYPES.keys()
    manual = (files("ironforge") / "README.md").read_text(encoding="utf-8")
    assert [text for text in CONSEQUENCES.values() if f"| {text} |" not in manual] == []
