"""A leaseholder's work: what each call leaves in the server, and that repeating it changes nothing."""

from __future__ import annotations

import pytest

from ironforge.errors import StoreError, StoreUnavailable
from ironforge.job.record import RECORD_VERSION, JobState, decode, encode
from tests.store.kit import HOUR_MS, Cluster, completed, dead, job, job_in, now_ms, retry, rewrite, stream_of


async def test_settling_leaves_the_record_alone_in_its_bucket(cluster: Cluster) -> None:
    one = job()
    node = await cluster.node()
    await cluster.submit(one)
    (delivery,) = await node.work.fetch(1)
    settled = completed(delivery)
    await node.work.settle([settled])
    bucket = cluster.keys.bucket_of(one.id, "done")
    assert cluster.raw.hgetall(bucket) == {one.id: settled[3]}
    assert 3_600 < cluster.raw.ttl(bucket) <= 3_660
    assert cluster.raw.zrange(cluster.keys.buckets, 0, -1) == [bucket.encode()]
    assert cluster.entries() == {}
    assert cluster.raw.hgetall(cluster.keys.index) == {}
    assert cluster.pending() == 0
    assert cluster.totals() == {"submitted": 1, "completed": 1}


async def test_settling_twice_is_the_same_as_once(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(job(), job())
    batch = [completed(delivery) for delivery in await node.work.fetch(2)]
    await node.work.settle(batch)
    counted = {name.encode() for name in (cluster.keys.totals, cluster.keys.buckets)}
    before = cluster.snapshot()
    await node.work.settle(batch)
    after = cluster.snapshot()
    assert set(after) == set(before)
    assert counted >= {key for key in before if before[key] != after[key]}


async def test_a_longer_retention_has_a_shelf_of_its_own_and_none_leaves_nothing(cluster: Cluster) -> None:
    node = await cluster.node()
    jobs = [job(), job(), job()]
    await cluster.submit(*jobs)
    keep = [0, HOUR_MS, 24 * HOUR_MS]
    deliveries = await node.work.fetch(3)
    await node.work.settle([completed(one, retention_ms=ms) for one, ms in zip(deliveries, keep, strict=True)])
    assert set(cluster.raw.hkeys(cluster.keys.bucket_of(jobs[1].id, "done"))) == {jobs[1].id}
    kept = cluster.keys.bucket_of(jobs[2].id, "kept")
    assert set(cluster.raw.hkeys(kept)) == {jobs[2].id}
    assert 86_400 < cluster.raw.ttl(kept) <= 86_460


async def test_a_bucket_lives_as_long_as_its_longest_record(cluster: Cluster) -> None:
    cluster.with_settings(retention_seconds=7_200.0)
    node = await cluster.node()
    jobs = [job() for _ in range(4)]
    bucket = cluster.keys.bucket_of(jobs[0].id, "done")
    await cluster.submit(*jobs)
    deliveries = await node.work.fetch(4)
    for delivery, retention_ms in zip(deliveries, (HOUR_MS, 2 * HOUR_MS, HOUR_MS), strict=False):
        await node.work.settle([completed(delivery, retention_ms=retention_ms)])
    assert 7_200 < cluster.raw.ttl(bucket) <= 7_260


async def test_more_than_a_batch_is_settled_in_parts(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(*[job() for _ in range(1_100)])
    await node.work.settle([completed(delivery) for delivery in await node.work.fetch(1_100)])
    assert cluster.totals()["completed"] == 1_100
    assert cluster.entries() == {}


async def test_a_job_that_was_requeued_is_the_next_to_be_taken(cluster: Cluster) -> None:
    node = await cluster.node()
    first, second = job(), job()
    await cluster.submit(first, second)
    (delivery,) = await node.work.fetch(1)
    for _ in range(2):
        await node.work.requeue([rewrite(delivery)])
    assert set(cluster.entries()) == {first.id, second.id}
    (again, other) = await node.work.fetch(5)
    assert [(stream_of(one), job_in(one).id, job_in(one).fence) for one in (again, other)] == [
        ("default:2r", first.id, 1),
        ("default:2", second.id, 0),
    ]
    await node.work.requeue([rewrite(again)])
    ((stream, _, record),) = await node.work.fetch(1)
    assert stream == "default:2r"
    assert decode(record).fence == 2


async def test_a_retry_of_a_job_that_was_requeued_goes_to_the_end(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(job())
    await node.work.requeue([rewrite(delivery) for delivery in await node.work.fetch(1)])
    await node.work.park([retry(delivery) for delivery in await node.work.fetch(1)])
    assert (await node.work.promote()).moved == 1
    (delivery,) = await node.work.fetch(1)
    assert stream_of(delivery) == "default:2"


async def test_park_schedules_by_the_servers_clock_and_counts_failures_alone(cluster: Cluster) -> None:
    node = await cluster.node()
    failed, snoozed = job(), job()
    await cluster.submit(failed, snoozed)
    one, other = await node.work.fetch(2)
    before = now_ms()
    for _ in range(2):
        await node.work.park([retry(one, 60_000), rewrite(other, 5_000)._replace(failed=False)])
    due = dict(cluster.raw.zrange(cluster.keys.scheduled, 0, -1, withscores=True))
    assert before <= due[failed.id] - 60_000 <= now_ms()
    assert decode(cluster.raw.hget(cluster.keys.parked, failed.id)).attempt == 1
    assert cluster.totals() == {"submitted": 2, "failed": 1, "retried": 1}


async def test_park_shouts_when_it_is_the_earliest(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(job(), job())
    first, second = await node.work.fetch(2)
    with cluster.raw.pubsub() as ears:
        ears.subscribe(cluster.keys.signals)
        ears.get_message(timeout=5)
        await node.work.park([retry(first, 60_000)])
        await node.work.park([retry(second, 90_000)])
        await cluster.submit(job(), delay_ms=30_000)
        assert [ears.get_message(timeout=5)["data"] for _ in range(2)] == [b"due:60000", b"due:30000"]


async def test_bury_moves_to_the_dead_letter_with_its_record(cluster: Cluster) -> None:
    node = await cluster.node()
    one = job()
    await cluster.submit(one)
    (delivery,) = await node.work.fetch(1)
    for _ in range(2):
        await node.work.bury([dead(delivery)])
    assert cluster.raw.zrange(cluster.keys.dead, 0, -1) == [one.id]
    assert decode(cluster.raw.hget(cluster.keys.parked, one.id)).reason == "no more"
    assert cluster.totals() == {"submitted": 1, "failed": 1, "dead": 1}


@pytest.mark.parametrize("how", ["requeue", "park", "bury"])
async def test_a_job_that_is_to_be_cancelled_is_settled_so_instead(cluster: Cluster, how: str) -> None:
    node = await cluster.node()
    doomed, other = job(), job()
    await cluster.submit(other, doomed)
    deliveries = await node.work.fetch(2)
    assert await cluster.store_client.producer.cancel(doomed.id) == JobState.RUNNING
    assert await node.work.cancel_requested([doomed.id, other.id]) == [doomed.id]
    make = {"requeue": rewrite, "park": retry, "bury": dead}[how]
    await getattr(node.work, how)([make(delivery) for delivery in deliveries])
    assert await cluster.state(doomed) == JobState.CANCELLED
    assert await cluster.state(other) != JobState.CANCELLED
    assert cluster.totals()["cancelled"] == 1
    assert await node.work.cancel_requested([doomed.id, other.id]) == []


async def test_cancel_requested_of_nothing_asks_nobody(cluster: Cluster) -> None:
    node = await cluster.node()
    assert await node.work.cancel_requested([]) == []


async def test_bytes_that_are_no_job_go_to_quarantine(cluster: Cluster) -> None:
    node = await cluster.node()
    newer = job()
    record = encode(newer.__class__(RECORD_VERSION + 1, newer.id, "k", "default", 2, b"", 0))
    stream = cluster.keys.stream("default:2")
    for body in (b"\xc1garbage", record, b"\x93\x01\xc4\x01a\x02"):
        entry = cluster.raw.xadd(stream, {"j": body})
    cluster.raw.hset(cluster.keys.index, newer.id, b"q:default:2:" + entry)
    for delivery in await node.work.fetch(3):
        for _ in range(2):
            await node.work.bury_raw(delivery, "no job")
    kept = [fields for _, fields in cluster.raw.xrange(cluster.keys.quarantine)]
    assert [fields[b"record"] for fields in kept] == [b"\xc1garbage", record, b"\x93\x01\xc4\x01a\x02"]
    assert {b"stream": b"default:2", b"reason": b"no job"}.items() <= kept[0].items()
    assert cluster.raw.xlen(stream) == 0
    assert cluster.raw.hgetall(cluster.keys.index) == {}


async def test_promote_moves_what_is_due_and_says_what_comes_next(cluster: Cluster) -> None:
    node = await cluster.node()
    due, later = job(priority=0), job(queue="elsewhere")
    await cluster.submit(due, later, delay_ms=60_000)
    cluster.raw.zincrby(cluster.keys.scheduled, -60_500, due.id)
    moved, next_ms, lateness = await node.work.promote()
    assert moved == 1
    assert 58_000 < next_ms <= 60_000
    assert 500 <= lateness[0] < 5_000
    assert await cluster.state(due) == JobState.QUEUED
    assert await cluster.state(later) == JobState.SCHEDULED


async def test_promote_learns_of_new_queues_and_moves_500_at_once(cluster: Cluster) -> None:
    node = await cluster.node()
    assert await node.work.promote() == (0, None, [])
    for queue in ("x", "y"):
        await cluster.submit(*[job(queue) for _ in range(300)], delay_ms=60_000)
    cluster.ripen()
    moved, next_ms, _ = await node.work.promote()
    assert moved == 500
    assert next_ms == 0
    assert (await node.work.promote())[:2] == (100, None)


async def test_expire_drops_dead_letters_past_their_retention(cluster: Cluster) -> None:
    node = await cluster.node()
    old, young = job(), job()
    await cluster.submit(old, young)
    await node.work.bury([dead(delivery) for delivery in await node.work.fetch(2)])
    cluster.raw.zincrby(cluster.keys.dead, -31 * 86_400_000, old.id)
    assert await node.work.expire() == 1
    assert cluster.raw.zrange(cluster.keys.dead, 0, -1) == [young.id]
    assert cluster.raw.hkeys(cluster.keys.parked) == [young.id]


async def test_expire_forgets_names_of_buckets_that_are_gone(cluster: Cluster) -> None:
    node = await cluster.node()
    cluster.raw.zadd(cluster.keys.buckets, {"long gone": 1, "still there": now_ms()})
    assert await node.work.expire() == 0
    assert cluster.raw.zrange(cluster.keys.buckets, 0, -1) == [b"still there"]


async def test_expire_makes_room_when_memory_is_short(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(*[job() for _ in range(7)])
    await node.work.settle([completed(delivery) for delivery in await node.work.fetch(7)])
    try:
        cluster.raw.config_set("maxmemory", 1)
        dropped = await node.work.expire() + await node.work.expire() + await node.work.expire()
    finally:
        cluster.raw.config_set("maxmemory", 0)
    assert dropped == 7
    assert cluster.raw.keys(cluster.keys.prefix + "done:*") == []


async def test_a_full_server_refuses_submissions_and_lets_work_leave(cluster: Cluster) -> None:
    node = await cluster.node()
    jobs = [job() for _ in range(4)]
    await cluster.submit(*jobs)
    done, parked, back, buried = await node.work.fetch(4)
    settled = completed(done)
    try:
        cluster.raw.config_set("maxmemory", 1)
        before = cluster.snapshot()
        with pytest.raises(StoreUnavailable) as caught:
            await cluster.submit(job())
        assert cluster.snapshot() == before
        await node.work.settle([settled])
        await node.work.park([retry(parked)])
        await node.work.requeue([rewrite(back)])
        await node.work.bury([dead(buried)])
        assert (await node.work.promote()).moved == 1
        node.leases.beat(node.lease)
        await node.leases.leave(node.lease)
    finally:
        cluster.raw.config_set("maxmemory", 0)
    assert caught.value.code == "storage_full"
    states = [JobState.COMPLETED, JobState.QUEUED, JobState.QUEUED, JobState.DEAD]
    assert [await cluster.state(one) for one in jobs] == states
    assert cluster.totals()["completed"] == 1


async def test_a_counter_that_cannot_count_stops_no_job(cluster: Cluster) -> None:
    node = await cluster.node()
    jobs = [job(), job(), job()]
    await cluster.submit(*jobs)
    first, second, third = await node.work.fetch(3)
    cluster.raw.hset(cluster.keys.totals, mapping={"failed": "no number", "dead": "no number"})
    await node.work.settle([completed(first)])
    await node.work.park([retry(second, 60_000)])
    await node.work.bury([dead(third)])
    states = [JobState.COMPLETED, JobState.SCHEDULED, JobState.DEAD]
    assert [await cluster.state(one) for one in jobs] == states


@pytest.mark.parametrize("command", ["hdel", "watch"])
async def test_a_refused_settlement_is_an_error(cluster: Cluster, command: str) -> None:
    """A user that may not use one of the commands: the transaction is refused before it runs."""
    node = await cluster.node()
    await cluster.submit(job())
    (delivery,) = await node.work.fetch(1)
    cluster.raw.acl_setuser("default", commands=[f"-{command}"], enabled=True)
    try:
        with pytest.raises(StoreError):
            await node.work.settle([completed(delivery)])
    finally:
        cluster.raw.acl_setuser("default", commands=[f"+{command}"], enabled=True)
    await node.work.settle([completed(delivery)])


async def test_nothing_to_write_writes_nothing(cluster: Cluster) -> None:
    node = await cluster.node()
    before = cluster.snapshot()
    await node.work.requeue([])
    assert cluster.snapshot() == before
