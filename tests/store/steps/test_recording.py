"""Recording steps: in the run that has the job and in no other, once, whatever is repeated or lost."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from ironforge.errors import LeaseLost
from ironforge.job.record import Job, decode
from ironforge.steps import journal
from ironforge.steps.journal import HEAD, Entry, EntryKind
from ironforge.store import Delivery, NewStep
from tests.store.kit import Cluster, Node, completed, job, job_in, retry, rewrite


def entry(result: bytes = b"1", fence: int = 0) -> bytes:
    return journal.encode(Entry(EntryKind.STEP, result, 1, 2, fence))


def step(delivery: Delivery, field: str = "charge", result: bytes = b"1") -> NewStep:
    found = job_in(delivery)
    return NewStep(*delivery[:2], found.id, found.fence, field, entry(result, found.fence))


def with_journal(delivery: Delivery) -> Delivery:
    stream, name, record = delivery
    return stream, name, msgspec.msgpack.encode(msgspec.structs.replace(decode(record), version=2, journal=True))


async def running(cluster: Cluster, *jobs: Job) -> tuple[Node, list[Delivery]]:
    node = await cluster.node()
    await cluster.submit(*(jobs or (job(),)))
    return node, await node.work.fetch(len(jobs) or 1)


async def test_a_step_is_recorded_with_the_fence_of_its_run(cluster: Cluster) -> None:
    node, (delivery,) = await running(cluster)
    assert await node.work.record_steps([step(delivery)]) == [entry()]
    key = cluster.keys.steps(job_in(delivery).id.hex())
    assert cluster.raw.hgetall(key) == {HEAD: b"0", b"charge": entry()}
    assert await node.work.journal(delivery[0], job_in(delivery).id) == {"charge": journal.decode(entry())}
    await node.work.settle([completed(with_journal(delivery))])


async def test_what_was_recorded_first_counts(cluster: Cluster) -> None:
    node, (delivery,) = await running(cluster)
    answers = await node.work.record_steps([step(delivery, result=b"1"), step(delivery, result=b"2")])
    assert answers == [entry(b"1"), entry(b"1")]
    await node.work.settle([completed(with_journal(delivery))])


@pytest.mark.parametrize("left", ["settled", "retried", "requeued"])
async def test_a_run_that_is_over_records_nothing(cluster: Cluster, left: str) -> None:
    node, (delivery,) = await running(cluster)
    if left == "settled":
        await node.work.settle([completed(delivery)])
    elif left == "retried":
        await node.work.park([retry(delivery, 60_000)])
    else:
        await node.work.requeue([rewrite(delivery)])
        await node.work.fetch(1)
    assert await node.work.record_steps([step(delivery)]) == [None]
    assert not cluster.raw.exists(cluster.keys.steps(job_in(delivery).id.hex()))


async def test_whoever_has_lost_its_lease_records_nothing(cluster: Cluster) -> None:
    node, (delivery,) = await running(cluster)
    other = await cluster.node()
    cluster.lapse(node)
    await other.leases.take_over(other.lease, node.lease.node)
    with pytest.raises(LeaseLost):
        await node.work.record_steps([step(delivery)])
    assert not cluster.raw.exists(cluster.keys.steps(job_in(delivery).id.hex()))


async def test_steps_that_gather_meanwhile_each_have_their_own_answer(cluster: Cluster) -> None:
    node, deliveries = await running(cluster, *[job() for _ in range(40)])
    steps = [step(one, result=b"%d" % number) for number, one in enumerate(deliveries)]
    answers = await asyncio.gather(*(node.work.record_steps([one]) for one in steps))
    assert answers == [[one.value] for one in steps]
    await node.work.settle([completed(with_journal(one)) for one in deliveries])


async def test_a_journal_expires_with_the_record_of_its_job(cluster: Cluster) -> None:
    node, (delivery,) = await running(cluster)
    await node.work.record_steps([step(delivery)])
    await node.work.settle([completed(with_journal(delivery))])
    assert 3_600 < cluster.raw.ttl(cluster.keys.steps(job_in(delivery).id.hex())) <= 3_660


async def test_a_journal_goes_with_a_job_of_which_nothing_is_kept(cluster: Cluster) -> None:
    node, (delivery,) = await running(cluster)
    await node.work.record_steps([step(delivery)])
    await node.work.settle([completed(with_journal(delivery), retention_ms=0)])
    assert not cluster.raw.exists(cluster.keys.steps(job_in(delivery).id.hex()))


async def test_full_memory_holds_up_a_step_and_no_settlement(cluster: Cluster) -> None:
    node, (first, second) = await running(cluster, job(), job())
    cluster.raw.config_set("maxmemory", 1)
    try:
        recording = asyncio.create_task(node.work.record_steps([step(first)]))
        await node.work.settle([completed(second)])
        assert cluster.totals()["completed"] == 1
        assert not recording.done()
    finally:
        cluster.raw.config_set("maxmemory", 0)
    assert await recording == [entry()]
    await node.work.settle([completed(with_journal(first))])


async def test_a_journal_of_the_wrong_type_holds_up_its_steps_until_it_is_gone(cluster: Cluster) -> None:
    node, (delivery,) = await running(cluster)
    key = cluster.keys.steps(job_in(delivery).id.hex())
    cluster.raw.set(key, "x")
    recording = asyncio.create_task(node.work.record_steps([step(delivery)]))
    cluster.raw.delete(key)
    assert await recording == [entry()]
    await node.work.settle([completed(with_journal(delivery))])


async def test_steps_of_several_shards_are_answered_in_their_order(cluster: Cluster) -> None:
    cluster.with_settings(shards=3)
    jobs = [job() for _ in range(9)]
    node = await cluster.node()
    await cluster.submit(*jobs)
    deliveries = await node.work.fetch(9)
    steps = [step(one, result=b"%d" % number) for number, one in enumerate(deliveries)]
    assert await node.work.record_steps(steps) == [one.value for one in steps]
    found = await node.work.journal(deliveries[4][0], job_in(deliveries[4]).id)
    assert found == {"charge": journal.decode(steps[4].value)}
    await node.work.settle([completed(with_journal(one)) for one in deliveries])


async def test_a_journal_of_the_wrong_type_holds_up_no_other_job(cluster: Cluster) -> None:
    node, (one, other) = await running(cluster, job(), job())
    key = cluster.keys.steps(job_in(one).id.hex())
    cluster.raw.set(key, "x")
    recording = asyncio.create_task(node.work.record_steps([step(one)]))
    for number in range(5):
        assert await node.work.record_steps([step(other, str(number))]) == [entry()]
    assert not recording.done()
    cluster.raw.delete(key)
    assert await recording == [entry()]
    await node.work.settle([completed(with_journal(each)) for each in (one, other)])


async def test_a_journal_names_the_run_that_records_when_that_says_so(cluster: Cluster) -> None:
    node, (delivery,) = await running(cluster)
    key = cluster.keys.steps(job_in(delivery).id.hex())
    cluster.raw.hset(key, HEAD, "7")
    assert await node.work.record_steps([step(delivery)._replace(begins=False)]) == [entry()]
    assert cluster.raw.hget(key, HEAD) == b"7"
    assert await node.work.record_steps([step(delivery, "pack")]) == [entry()]
    assert cluster.raw.hget(key, HEAD) == b"0"
    await node.work.settle([completed(with_journal(delivery))])
