"""Jobs with limits whose kind a node does not know, and those that it cannot read at all."""

from __future__ import annotations

import msgspec
import pytest

from ironforge.errors import QueueFull
from ironforge.job.limits import Limit, Rate
from ironforge.job.record import RECORD_VERSION, JobState, encode
from ironforge.store import Submission
from tests.store.declining import a_line, declined, ids, knowing
from tests.store.kit import Cluster, ids_in, job, job_in, limited, settle
from tests.store.suspects import held_by_dead, suspects
from tests.support.waiting import until


async def test_it_gives_its_place_to_the_next_one(one: Cluster) -> None:
    old = await one.node([])
    first, second = limited(2)
    await one.submit(first, second)
    held = await old.work.fetch(10)
    await old.work.decline([declined(each) for each in held])
    assert ids_in(await old.work.fetch(10)) == [second.id]


async def _is_paid_back(cluster: Cluster, remaining: int) -> None:
    """To the millisecond, which is what a holder's start is known by."""

    async def may_start() -> bool:
        return (await cluster.store_client.limits.key("one", "a")).remaining == remaining

    await until(may_start, "its rate to be paid back")


async def test_the_rate_is_paid_back(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(rate=Rate(1, per_seconds=3600, burst=1)))
    (first,) = limited(1)
    await a_line(cluster, first)
    await _is_paid_back(cluster, 1)
    assert await ids(await knowing(cluster)) == [first.id]
    assert (await cluster.store_client.limits.key("one", "a")).remaining == 0


async def test_it_runs_when_a_node_knows_its_kind_and_its_key_has_room(one: Cluster) -> None:
    first, second = limited(1, kind="new")[0], limited(1, kind="old")[0]
    await a_line(one, first)
    other = await knowing(one, "old")
    await one.submit(second)
    held = await other.work.fetch(10)
    assert ids_in(held) == [second.id]
    new = await knowing(one, "new")
    assert await ids(new) == []
    await settle(other, held)
    new.work.reader.selector.look_again()
    assert await ids(new) == [first.id]


async def test_those_of_a_full_key_let_those_of_others_by(one: Cluster) -> None:
    await one.submit(*limited(1, kind="other"))
    other = await knowing(one, "other")
    await other.work.fetch(10)
    await one.store_client.limits.put("one", Limit(concurrency=100))
    behind, free = limited(60, kind="new"), limited(1, "b", kind="new")
    await a_line(one, *behind, *free)
    await one.store_client.limits.put("one", Limit(concurrency=1))
    assert await ids(await knowing(one, "new")) == [free[0].id]


async def test_one_that_waits_for_its_kind_can_be_cancelled_and_holds_nothing(one: Cluster) -> None:
    first, second = limited(2)
    await a_line(one, first)
    assert await one.store_client.producer.cancel(first.id) is JobState.CANCELLED
    await one.submit(second)
    assert await ids(await knowing(one)) == [second.id]


async def test_it_counts_in_a_bounded_queue(one: Cluster) -> None:
    one.with_settings(max_queue_length=1)
    await a_line(one, *limited(1))
    with pytest.raises(QueueFull):
        await one.open_doors().producer.submit([Submission(limited(1)[0])])


async def test_one_that_no_node_serves_is_buried_and_revived_with_its_limit(one: Cluster) -> None:
    one.with_settings(unserved_seconds=1.0)
    first, second = limited(2)
    old = await a_line(one, first)
    one.raw.zadd(one.keys.unserved, {"default:2:k": -10_000_000})
    await old.work.bury_unserved()
    assert await one.state(first) is JobState.DEAD
    await one.store_client.producer.retry(first.id, reset_retry_count=True)
    await one.submit(second)
    new = await knowing(one)
    held = await new.work.fetch(10)
    assert ids_in(held) == [first.id]
    await settle(new, held)
    assert await ids(new) == [second.id]


async def test_a_suspect_that_was_declined_waits_for_its_place_and_runs_alone(one: Cluster) -> None:
    suspect, holder = held_by_dead(limits=limited(1)[0].limits, kind="new"), limited(1, kind="old")[0]
    await suspects(one, suspect)
    old = await one.node([])
    await old.work.decline([declined(each) for each in await old.work.alone.fetch()])
    other = await knowing(one, "old")
    await one.submit(holder)
    held = await other.work.fetch(10)
    new = await knowing(one, "new")
    assert await ids(new) == []
    assert await new.work.alone.fetch() == []
    await settle(other, held)
    (delivery,) = await new.work.alone.fetch()
    assert job_in(delivery).id == suspect.id


def newer(**fields: object) -> bytes:
    """A job of a version that nobody here can read."""
    return encode(msgspec.structs.replace(job(**fields), version=RECORD_VERSION + 1))


async def set_aside(cluster: Cluster, record: bytes) -> bytes:
    """Its node fetches a job and finds this record; returns the job's id."""
    node = await cluster.node()
    (delivery,) = await node.work.fetch(10)
    stream, entry, _ = delivery
    await node.work.bury_raw((stream, entry, record), "newer")
    return job_in(delivery).id


async def test_one_that_is_put_aside_frees_its_place(one: Cluster) -> None:
    first, second = limited(2)
    await one.submit(first, second)
    await set_aside(one, newer(id=first.id, limits=first.limits))
    node = await one.node()
    assert ids_in(await node.work.fetch(10)) == [second.id]
    assert await node.work.audit_limits() == 0


async def test_one_that_is_put_aside_is_paid_back_its_rate(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(rate=Rate(1, per_seconds=3600, burst=2)))
    (first,) = limited(1)
    await cluster.submit(first)
    await set_aside(cluster, newer(id=first.id, limits=first.limits))
    await _is_paid_back(cluster, 2)


async def test_bytes_that_are_no_job_leave_their_place_to_the_audit_which_counts_it(one: Cluster) -> None:
    first, second = limited(2)
    await one.submit(first, second)
    node = await one.node()
    (delivery,) = await node.work.fetch(10)
    await node.work.bury_raw((*delivery[:2], b"no job"), "no job")
    assert await node.work.audit_limits() == 1
    assert ids_in(await node.work.fetch(10)) == [second.id]


async def test_one_that_comes_back_from_the_quarantine_waits_for_its_place(one: Cluster) -> None:
    node = await one.node()
    first, second = limited(2)
    await one.submit(second)
    held = await node.work.fetch(10)
    one.raw.xadd(one.keys.quarantine, {"record": encode(first), "stream": "default:2", "reason": "newer"})
    assert await node.work.restore() == 1
    assert await node.work.fetch(10) == []
    await settle(node, held)
    assert ids_in(await node.work.fetch(10)) == [first.id]


async def test_a_suspect_that_comes_back_from_the_quarantine_waits_for_its_place_too(one: Cluster) -> None:
    node = await one.node()
    suspect, (holder,) = job(crashes=2, limits=limited(1)[0].limits), limited(1)
    await one.submit(holder)
    held = await node.work.fetch(10)
    one.raw.xadd(one.keys.quarantine, {"record": encode(suspect), "stream": "default:2", "reason": "newer"})
    assert await node.work.restore() == 1
    assert [*await node.work.fetch(10), *await node.work.alone.fetch()] == []
    await settle(node, held)
    assert ids_in(await node.work.fetch(10)) == [suspect.id]


async def test_one_that_ran_before_it_was_declined_has_used_its_rate(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(rate=Rate(1, per_seconds=3600, burst=1)))
    await cluster.submit(*limited(1))
    node, old = await cluster.node(), await cluster.node([])
    await node.work.fetch(10)
    await node.leases.leave(node.lease)
    await old.work.decline([declined(each) for each in await old.work.fetch(10)])
    assert (await cluster.store_client.limits.key("one", "a")).remaining == 0


async def test_fifo_is_kept_among_those_that_were_declined(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=1, order="fifo"))
    first, second, third = limited(3)
    old = await cluster.node([])
    await cluster.submit(first, second)
    await old.work.decline([declined(each) for each in await old.work.fetch(10)])
    await cluster.submit(third)
    new = await knowing(cluster)
    order = []
    while held := await new.work.fetch(10):
        order += ids_in(held)
        await settle(new, held)
        new.work.reader.selector.look_again()
    assert order == [first.id, second.id, third.id]
