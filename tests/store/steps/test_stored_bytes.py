"""Journals and events count among what a namespace stores, whatever state their jobs are in."""

from __future__ import annotations

import pytest

from ironforge.job.record import new_id
from ironforge.redis.shards import shards_of
from ironforge.steps import journal
from ironforge.steps.journal import Entry, EntryKind
from ironforge.store import Delivery, NewStep
from ironforge.store.inspector.usage import RedisUsage
from tests.store.kit import HOUR_MS, Cluster, completed, dead, job, job_in, now_ms
from tests.store.steps.waiting import hour_from_now, kept, waiting

KIB = 1024


async def stored(cluster: Cluster) -> int:
    usage = RedisUsage(cluster.settings)
    try:
        return (await usage.measure()).stored_bytes
    finally:
        await usage.close()


def large(delivery: Delivery, kib: int = 40) -> NewStep:
    found = job_in(delivery)
    result = b'"%s"' % (b"x" * kib * KIB)
    value = journal.encode(Entry(EntryKind.STEP, result, 1, 2, found.fence))
    return NewStep(*delivery[:2], found.id, found.fence, "charge", value)


async def test_a_journal_counts_while_its_job_runs_waits_and_can_be_looked_up(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(job())
    before = await stored(cluster)
    (delivery,) = await node.work.fetch(1)
    await node.work.record_steps([large(delivery)])
    assert 32 * KIB < await stored(cluster) - before < 56 * KIB
    await node.work.park_waiting([waiting(delivery, "sleep", until_ms=now_ms() - 5)])
    assert 32 * KIB < await stored(cluster) - before < 56 * KIB
    await node.work.promote()
    (delivery,) = await node.work.fetch(1)
    assert 32 * KIB < await stored(cluster) - before < 56 * KIB
    await node.work.settle([completed(kept(delivery))])
    assert 32 * KIB < await stored(cluster) - before < 56 * KIB


async def test_one_of_a_dead_job_counts_and_one_that_nothing_is_kept_of_does_not(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(job(), job())
    before = await stored(cluster)
    first, second = await node.work.fetch(2)
    await node.work.record_steps([large(first), large(second)])
    await node.work.settle([completed(kept(first), retention_ms=0)])
    assert 32 * KIB < await stored(cluster) - before < 56 * KIB
    await node.work.bury([dead(kept(second))])
    assert 32 * KIB < await stored(cluster) - before < 56 * KIB


async def test_of_many_that_wait_some_stand_for_the_others(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(*[job() for _ in range(400)])
    before = await stored(cluster)
    held = await node.work.fetch(400)
    await node.work.record_steps([large(each, 1) for each in held])
    await node.work.park_waiting([waiting(each, "sleep", until_ms=hour_from_now()) for each in held])
    assert 400 * KIB < await stored(cluster) - before < 800 * KIB
    cluster.raw.flushall()
    cluster.checked = False


async def test_a_single_large_one_does_not_stand_for_thousands_without(cluster: Cluster) -> None:
    node = await cluster.node()
    jobs = [job() for _ in range(3_000)]
    await cluster.submit(*jobs)
    before = await stored(cluster)
    held = await node.work.fetch(9)
    await node.work.record_steps([large(each) for each in held])
    assert await stored(cluster) - before < 9 * 50 * KIB
    cluster.raw.flushall()
    cluster.checked = False


@pytest.mark.parametrize("shards", [1, 3])
async def test_an_event_counts_in_each_shard_until_the_hour_is_over_in_which_it_expires(
    cluster: Cluster, shards: int
) -> None:
    cluster.with_settings(shards=shards)
    await cluster.submit(job(id=new_id(0)))
    before = await stored(cluster)
    assert await cluster.store_client.events.send("paid", b'"%s"' % (b"x" * 40 * KIB), HOUR_MS)
    after = await stored(cluster)
    assert 40 * KIB * shards < after - before < 41 * KIB * shards
    assert not await cluster.store_client.events.send("paid", b"7", HOUR_MS)
    assert await stored(cluster) == after
    for keys in shards_of(cluster.settings):
        assert HOUR_MS - 60_000 < cluster.raw.pttl(keys.eventbytes) <= 2 * HOUR_MS
        (hour,) = cluster.raw.hkeys(keys.eventbytes)
        cluster.raw.hset(keys.eventbytes, str(int(hour) - 2), 1 << 20)
    assert await stored(cluster) == after
    assert await cluster.store_client.events.send("sent", b"7", 5 * HOUR_MS)
    for keys in shards_of(cluster.settings):
        assert sorted(cluster.raw.hkeys(keys.eventbytes)) == [hour, b"%d" % (int(hour) + 4)]
        assert cluster.raw.pttl(keys.eventbytes) > 4 * HOUR_MS
    cluster.raw.flushall()
    cluster.checked = False
