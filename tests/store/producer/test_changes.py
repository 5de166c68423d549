"""Cancelling and reviving: wherever the job is, and whoever moves it at the same time."""

from __future__ import annotations

import pytest

from ironforge.errors import InvalidState, JobNotFound, StoreUnavailable
from ironforge.job.record import JobState, decode, encode
from ironforge.redis.scripts import CANCEL, RETRY
from tests.store.kit import Cluster, completed, dead, job, job_in, retry


async def test_a_queued_job_is_cancelled_and_never_delivered(cluster: Cluster) -> None:
    node = await cluster.node()
    one = job()
    await cluster.submit(one)
    assert await cluster.store_client.producer.cancel(one.id) == JobState.CANCELLED
    assert await node.work.fetch(1) == []
    view = await cluster.store_client.inspector.get(one.id)
    assert view.state == JobState.CANCELLED
    assert view.job.ended == "cancelled"
    assert cluster.totals() == {"submitted": 1, "cancelled": 1}
    assert 3_600 < cluster.raw.ttl(cluster.keys.bucket_of(one.id, "done")) <= 3_660


async def test_a_job_of_a_queue_that_nobody_serves_is_cancelled(cluster: Cluster) -> None:
    one = job(queue="nobody")
    await cluster.submit(one)
    assert await cluster.store_client.producer.cancel(one.id) == JobState.CANCELLED


async def test_a_scheduled_job_is_cancelled(cluster: Cluster) -> None:
    one = job()
    await cluster.submit(one, delay_ms=60_000)
    assert await cluster.store_client.producer.cancel(one.id) == JobState.CANCELLED
    assert await cluster.state(one) == JobState.CANCELLED


async def test_a_cancelled_job_without_retention_is_gone(cluster: Cluster) -> None:
    one = job(retain_ms=0)
    await cluster.submit(one)
    assert await cluster.store_client.producer.cancel(one.id) == JobState.CANCELLED
    with pytest.raises(JobNotFound):
        await cluster.store_client.producer.cancel(one.id)


async def test_the_node_of_a_running_job_is_told_each_time(cluster: Cluster) -> None:
    node = await cluster.node()
    one = job()
    await cluster.submit(one)
    (delivery,) = await node.work.fetch(1)
    with cluster.raw.pubsub() as ears:
        ears.subscribe(cluster.keys.signals)
        ears.get_message(timeout=5)
        for _ in range(2):
            assert await cluster.store_client.producer.cancel(one.id) == JobState.RUNNING
            assert ears.get_message(timeout=5)["data"] == b"cancel:" + one.id
    assert (await cluster.store_client.inspector.get(one.id)).cancel_requested
    await node.work.settle([completed(delivery)])
    assert await cluster.state(one) == JobState.COMPLETED


@pytest.mark.parametrize(("end", "state"), [("settle", "completed"), ("bury", "dead")])
async def test_what_has_ended_cannot_be_cancelled(cluster: Cluster, end: str, state: str) -> None:
    node = await cluster.node()
    one = job()
    await cluster.submit(one)
    (delivery,) = await node.work.fetch(1)
    await getattr(node.work, end)([{"settle": completed, "bury": dead}[end](delivery)])
    with pytest.raises(InvalidState) as caught:
        await cluster.store_client.producer.cancel(one.id)
    assert caught.value.state == state


async def test_an_unknown_job_is_not_found(cluster: Cluster) -> None:
    for call in (cluster.store_client.producer.cancel, cluster.store_client.inspector.get):
        with pytest.raises(JobNotFound):
            await call(job().id)
    with pytest.raises(JobNotFound):
        await cluster.store_client.producer.retry(job().id, reset_retry_count=True)


@pytest.mark.parametrize(("reset", "attempt"), [(True, 0), (False, 1)])
async def test_a_dead_job_is_revived_with_its_history(cluster: Cluster, reset: bool, attempt: int) -> None:
    node = await cluster.node()
    one = job(crashes=2)
    await cluster.submit(one)
    (delivery,) = await node.work.fetch(1)
    record = retry(delivery).record
    failed = decode(record)
    await node.work.bury([dead((*delivery[:2], record))])
    revived = await cluster.store_client.producer.retry(one.id, reset_retry_count=reset)
    (again,) = await node.work.fetch(1)
    assert revived == job_in(again)
    assert revived.attempt == attempt
    assert revived.crashes == 0
    assert revived.errors == failed.errors
    assert revived.ended == ""
    assert revived.fence > failed.fence


async def test_only_the_dead_are_revived(cluster: Cluster) -> None:
    one = job()
    await cluster.submit(one)
    with pytest.raises(InvalidState) as caught:
        await cluster.store_client.producer.retry(one.id, reset_retry_count=True)
    assert caught.value.state == "queued"


async def test_a_job_that_moves_in_between_is_looked_up_again(cluster: Cluster) -> None:
    node = await cluster.node()
    one = job()
    await cluster.submit(one)
    producer = cluster.store_client.producer
    record_at, moves = producer._located.record, []

    async def read_and_move(location, job_id):
        record = await record_at(location, job_id)
        if not moves:
            moves.append(location)
            (delivery,) = await node.work.fetch(1)
            await node.work.park([retry(delivery, 60_000)])
        return record

    producer._located.record = read_and_move
    assert await producer.cancel(one.id) == JobState.CANCELLED
    assert decode(cluster.raw.hget(cluster.keys.bucket_of(one.id, "done"), one.id)).attempt == 1


async def test_a_job_that_dies_in_between_again_is_looked_up_again(cluster: Cluster) -> None:
    node = await cluster.node()
    one = job()
    await cluster.submit(one)
    await node.work.bury([dead(delivery) for delivery in await node.work.fetch(1)])
    producer = cluster.store_client.producer
    record_at, times = producer._located.record, []

    async def read_and_live_again(location, job_id):
        record = await record_at(location, job_id)
        if not times:
            times.append(record)
            await cluster.open_doors().producer.retry(one.id, reset_retry_count=True)
            await node.work.bury([dead(delivery) for delivery in await node.work.fetch(1)])
        return record

    producer._located.record = read_and_live_again
    assert (await producer.retry(one.id, reset_retry_count=True)).fence == 2


@pytest.mark.parametrize("call", ["cancel", "retry"])
async def test_the_chase_ends(cluster: Cluster, call: str) -> None:
    one = job()
    cluster.raw.hset(cluster.keys.index, one.id, "q:default:2:1-1" if call == "cancel" else "d")
    options = {} if call == "cancel" else {"reset_retry_count": True}
    with pytest.raises(StoreUnavailable, match="moved"):
        await getattr(cluster.store_client.producer, call)(one.id, **options)
    cluster.raw.delete(cluster.keys.index)


async def test_a_cancellation_that_comes_late_writes_nothing(cluster: Cluster) -> None:
    """The script with what was read before the job moved on, at each of its comparisons."""
    queued, scheduled = job(), job()
    await cluster.submit(queued)
    await cluster.submit(scheduled, delay_ms=60_000)
    before = cluster.snapshot()
    keys = cluster.keys
    names = [
        keys.index,
        keys.scheduled,
        keys.parked,
        keys.totals,
        keys.delayed,
        keys.bucket_of(queued.id, "done"),
        keys.buckets,
        keys.unserved,
        keys.stream("default:2"),
    ]
    location = cluster.raw.hget(keys.index, queued.id)
    stale = [
        (queued.id, b"q:default:2:1-1", b"1-1", b""),
        (queued.id, location, b"1-1", b""),
        (scheduled.id, b"s:default:2", b"", b"an older record"),
    ]
    for job_id, seen_at, entry, record in stale:
        arguments = [keys.signals, job_id, seen_at, entry, record, b"never", 60, 1, ""]
        assert cluster.raw.execute_command(*CANCEL.by_text(names, arguments)) == b"moved"
    assert cluster.snapshot() == before


async def test_a_revival_that_comes_late_writes_nothing(cluster: Cluster) -> None:
    one = job()
    await cluster.submit(one)
    before = cluster.snapshot()
    keys = cluster.keys
    names = [keys.index, keys.dead, keys.parked, keys.queues, keys.stream("default:2")]
    revival = [one.id, encode(one), encode(one), "", "default", 10]
    assert cluster.raw.execute_command(*RETRY.by_text(names, revival)) == 0
    assert cluster.snapshot() == before
