"""What other hands, disks and newer versions leave in the server: nodes and API go on with the other jobs."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from ironforge.doctor import examine
from ironforge.errors import InvalidState
from ironforge.job.record import RECORD_VERSION, Job, JobState, decode, encode, parse_id
from tests.actors.node.kit import Gate, World, until
from tests.cli.kit import ironforge
from tests.store.kit import job
from tests.support.servers import valkey

GARBAGE = b"\xc1\xff nonsense"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    with valkey() as url:
        world = World(url)
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


def unindexed(world: World) -> None:
    world.cluster.raw.xadd(world.cluster.keys.stream("default:2"), {"j": encode(job(kind="note"))})


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
    unindexed,
    scheduled_alone,
    parked_garbage,
    index_garbage,
    dead_alone,
    strange_names,
    garbage_totals,
]


@pytest.mark.parametrize("corrupt", CORRUPTIONS)
async def test_nodes_and_doors_go_on(world: World, corrupt: Callable[[World], None]) -> None:
    inspector = world.cluster.store_client.inspector
    await world.submit("note")
    corrupt(world)
    async with world.node(lease_seconds=1.0) as node:
        job_id = await world.submit("note", "later", delay_seconds=0.01)
        assert msgspec.json.decode((await world.completed(job_id)).job.result) == "later"
        raw, keys = world.cluster.raw, world.cluster.keys
        await until(lambda: raw.xlen(keys.stream("default:2")) == 0, "the stream to be empty")
        assert node is not None
        await inspector.stats()
        await inspector.nodes()
        await inspector.jobs()
    assert world.cluster.raw.zcount(world.cluster.keys.scheduled, "-inf", "+inf") == 0


async def test_a_quarantined_record_leaves_nothing_in_the_index(world: World) -> None:
    garbage_record(world)
    raw, keys = world.cluster.raw, world.cluster.keys
    async with world.node():
        await until(lambda: raw.xlen(keys.quarantine) == 1, "the record to be put aside")

    assert raw.hlen(keys.index) == 0


async def test_a_record_of_a_newer_version_is_brought_back_by_a_node_that_can_read_it(world: World) -> None:
    raw, keys, one = world.cluster.raw, world.cluster.keys, job(kind="note", id=None)
    entry = raw.xadd(keys.stream("default:2"), {"j": newer(one)})
    raw.hset(keys.index, one.id, b"q:default:2:" + entry)
    raw.sadd(keys.queues, "default")
    async with world.node():
        await until(lambda: raw.xlen(keys.quarantine) == 1, "the record to be put aside")
    # What a node of the newer version would find there, in the terms of this one.
    [(aside, fields)] = raw.xrange(keys.quarantine)
    assert fields[b"record"] == newer(one)
    raw.xdel(keys.quarantine, aside)
    raw.xadd(keys.quarantine, {**fields, b"record": encode(one)})

    async with world.node():
        await until(lambda: world.ran, "the job to be brought back and to run")
        assert (await world.completed(one.text_id)).state is JobState.COMPLETED
    assert raw.xlen(keys.quarantine) == 0


async def test_a_due_job_that_the_index_has_lost_still_runs(world: World) -> None:
    raw, keys = world.cluster.raw, world.cluster.keys
    job_id = await world.submit("note", "found", delay_seconds=3600)
    raw.hdel(keys.index, parse_id(job_id))
    raw.zadd(keys.scheduled, {parse_id(job_id): 1})
    async with world.node():
        await until(lambda: raw.xlen(keys.quarantine) == 1 or world.ran, "it to be put aside")
    async with world.node():
        await until(lambda: world.ran, "it to be brought back and to run")
        assert (await world.completed(job_id)).job.result == b'"found"'


async def test_an_unreadable_job_that_was_requeued_unstarted_is_put_aside(world: World) -> None:
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
        await world.retry(job_id, reset_retry_count=False)
    async with world.node():
        await until(lambda: gate.entered, "the job to run")
        with pytest.raises(InvalidState, match="is running"):
            await world.retry(job_id, reset_retry_count=False)
        gate.open()
        assert decode(encode((await world.completed(job_id)).job)).ended == "completed"


async def test_a_key_of_a_wrong_type_is_a_refusal_in_words(world: World) -> None:
    from ironforge.api.problems import explain
    from ironforge.errors import StoreError

    world.cluster.raw.set(world.cluster.keys.index, "not a hash")
    with pytest.raises(StoreError) as refused:
        await world.cluster.store_client.inspector.get(job().id)
    problem = explain(refused.value, "request-1")
    assert problem.status == 503
    assert problem.code == "store_refused"
    assert "ironforge doctor" in problem.detail


NAMED = {
    wrong_field: [r"entry \d+-0 of if:.*:q:default:2 has the field b'wrong'"],
    garbage_record: [r"entry \d+-0 of if:.*:q:default:2: this record is not a job"],
    absurd_numbers: [
        r"the index knows 0 jobs, but there are 16 in streams",
        r"\(job [0-9a-f-]{36}\): this record is not a job",
    ],
    unindexed: [r"job [0-9a-f-]{36} is in if:.*:q:default:2, but the index says nothing"],
    scheduled_alone: [r"job [0-9a-f-]{36} is in .*:scheduled, but its record", r"job b'no id' is in .*:scheduled"],
    parked_garbage: [r"the record of job [0-9a-f-]{36} in if:.*:parked: this record is not a job"],
    index_garbage: [r"job [0-9a-f-]{36} is not where the index says"],
    dead_alone: [r"job [0-9a-f-]{36} is in .*:dead, but the index says nothing"],
    strange_names: [
        r":queues holds b'\\xff'",
        r":queues holds b'a:b'",
        r":nodes holds b'\\xff\\xfe'",
        r":buckets holds",
    ],
    garbage_totals: [r":totals holds b'\\xff' with b'\\xff'", r":totals holds b'failed' with b'-x'"],
}


@pytest.mark.parametrize("corrupt", CORRUPTIONS)
async def test_the_doctor_names_what_is_damaged(world: World, corrupt: Callable[[World], None]) -> None:
    raw, keys = world.cluster.raw, world.cluster.keys
    raw.sadd(keys.queues, "default")
    corrupt(world)
    failed = [one for one in await examine(world.settings) if one.level == "fail"]
    for pattern in NAMED[corrupt]:
        assert any(re.search(pattern, one.message) and one.check == "data" and one.fix for one in failed), pattern


async def test_the_doctor_finds_no_damage_in_what_is_sound(world: World) -> None:
    gate = Gate()

    @world.forge.job("slow")
    async def slow() -> None:
        await gate.pass_through()

    @world.forge.job("fails", max_retries=0)
    async def fails() -> None:
        raise ValueError

    async with world.node():
        ended = [await world.submit("note", None), await world.submit("fails")]
        await world.completed(ended[0])
        await world.dead(ended[1])
        await world.submit("slow")
        await world.submit("note", delay_seconds=3600)
        await until(lambda: gate.entered, "it to run")
        found = [one for one in await examine(world.settings) if one.check == "data"]
        gate.open()
    assert [one.level for one in found] == ["ok"]


async def test_a_newer_record_is_named_and_kept_and_others_go_on(world: World) -> None:
    raw, keys, one = world.cluster.raw, world.cluster.keys, job(kind="note")
    entry = raw.xadd(keys.stream("default:2"), {"j": newer(one)})
    raw.hset(keys.index, one.id, b"q:default:2:" + entry)
    raw.sadd(keys.queues, "default")
    [found] = [each for each in await examine(world.settings) if each.check == "data"]
    assert found.level == "fail"
    assert f"entry {entry.decode()}" in found.message
    assert "version" in found.message
    async with world.node():
        await world.completed(await world.submit("note", "beside"))
        await until(lambda: raw.xlen(keys.quarantine) == 1, "it to be put aside")
    [aside] = [each for each in await examine(world.settings) if each.check == "quarantine"]
    assert "written by a newer version" in aside.message


def test_the_doctor_ends_with_1_for_damage(world: World) -> None:
    parked_garbage(world)
    url, namespace = world.settings.redis_url, world.settings.namespace
    done = ironforge("doctor", redis_url=url, namespace=namespace)
    assert done.returncode == 1
    assert "is not a job" in done.stdout


async def test_names_that_no_node_can_have_do_not_crowd_out_a_dead_node(world: World) -> None:
    cluster = world.cluster
    node, gone = await cluster.node(), await cluster.node()
    strange = {b"\xff" + bytes([number]): 0 for number in range(12)} | {"": 0, "with space": 0}
    cluster.raw.zadd(cluster.keys.nodes, strange)
    cluster.lapse(gone)
    found = [name for _ in range(3) for name in node.leases.beat(node.lease)]
    assert set(found) == {gone.lease.node}
    assert cluster.raw.zcard(cluster.keys.nodes) == 2
