"""What others see of declined jobs, and may do to them."""

from __future__ import annotations

import pytest

from ironforge.doctor.consistency import inconsistencies
from ironforge.doctor.damage import damages
from ironforge.errors import QueueFull
from ironforge.job.record import JobState
from ironforge.redis.connection import Connection
from ironforge.store import JobFilter
from tests.store.declining import a_line, declined, ids, knowing
from tests.store.kit import Cluster, job

pytestmark = pytest.mark.asyncio


async def test_a_job_that_is_to_be_cancelled_is_cancelled_instead(cluster: Cluster) -> None:
    old = await cluster.node([])
    one = job()
    await cluster.submit(one)
    [delivery] = await old.work.fetch(1)
    assert await cluster.store_client.producer.cancel(one.id) is JobState.RUNNING
    await old.work.decline([declined(delivery)])
    assert await cluster.state(one) is JobState.CANCELLED


async def test_a_declined_job_can_be_cancelled(cluster: Cluster) -> None:
    one, other = job(), job()
    await a_line(cluster, one, other)
    assert await cluster.store_client.producer.cancel(one.id) is JobState.CANCELLED
    assert await ids(await knowing(cluster)) == [other.id]


async def test_a_declined_job_cannot_be_retried(cluster: Cluster) -> None:
    one = job()
    await a_line(cluster, one)
    with pytest.raises(Exception, match="is queued and cannot be retried"):
        await cluster.store_client.producer.retry(one.id, reset_retry_count=False)


async def test_it_can_be_looked_up_and_says_what_it_waits_for(cluster: Cluster) -> None:
    one = job(kind="new.kind")
    await a_line(cluster, one)
    view = await cluster.store_client.inspector.get(one.id)
    assert view.state is JobState.QUEUED
    assert view.waiting_for
    assert view.waiting_for.code == "no_node_for_kind"
    assert "new.kind" in view.waiting_for.detail
    until_ms = view.waiting_for.until_ms or 0
    assert 0 <= one.created_ms + 86_400_000 + 60_000 - until_ms < 70_000


async def test_without_a_limit_it_waits_for_ever(cluster: Cluster) -> None:
    cluster.with_settings(unserved_seconds=0.0)
    one = job()
    await a_line(cluster, one)
    view = await cluster.store_client.inspector.get(one.id)
    assert view.waiting_for
    assert view.waiting_for.until_ms is None


@pytest.mark.parametrize("wanted", [JobFilter(), JobFilter(state=JobState.QUEUED), JobFilter(kind="k")])
async def test_it_is_listed(cluster: Cluster, wanted: JobFilter) -> None:
    jobs = [job(), job(priority=0), job(queue="other")]
    cluster.with_settings(queues=("default", "other"))
    await a_line(cluster, *jobs)
    found = []
    cursor = None
    while True:
        page = await cluster.store_client.inspector.jobs(wanted, limit=1, cursor=cursor)
        found += page.jobs
        if (cursor := page.cursor) is None:
            break
    assert {view.job.id for view in found} == {one.id for one in jobs}
    assert {view.waiting_for.code for view in found if view.waiting_for} == {"no_node_for_kind"}


async def test_it_counts_as_queued(cluster: Cluster) -> None:
    one = job()
    await a_line(cluster, one, job(kind="other"))
    [depth] = [each for each in (await cluster.store_client.inspector.stats()).streams if each.queued]
    assert (depth.queued, depth.declined, depth.running, depth.oldest_ms) == (2, 2, 0, one.created_ms)


async def test_it_takes_room_in_a_bounded_queue(cluster: Cluster) -> None:
    cluster.with_settings(max_queue_length=2)
    await a_line(cluster, job(), job())
    with pytest.raises(QueueFull):
        await cluster.submit(job())


async def test_its_queue_is_not_forgotten(cluster: Cluster) -> None:
    cluster.with_settings(queues=("other",))
    one = job(queue="other")
    old = await a_line(cluster, one)
    await old.leases.leave(old.lease)
    cluster.with_settings(queues=("default",))
    await (await cluster.node([])).work.expire()
    assert cluster.raw.sismember(cluster.keys.queues, "other")
    assert [depth.queued for depth in (await cluster.store_client.inspector.stats()).streams].count(1) == 1


async def test_the_doctor_finds_nothing_wrong_with_it(cluster: Cluster) -> None:
    await a_line(cluster, job(), job(kind="other"))
    async with Connection(cluster.url, cluster.keys.prefix) as connection:
        assert await inconsistencies(connection, cluster.keys) == []
        assert await damages(connection, cluster.keys) == []


async def test_the_doctor_finds_one_that_its_line_has_lost(cluster: Cluster) -> None:
    one = job()
    await a_line(cluster, one)
    cluster.checked = False
    cluster.raw.delete(cluster.keys.declined("default:2"))
    async with Connection(cluster.url, cluster.keys.prefix) as connection:
        found = await inconsistencies(connection, cluster.keys)
    assert any("0 waiting for their turn" in each for each in found)
    assert any("is not where the index says: k:default:2:k" in each for each in found)


async def test_the_doctor_finds_one_that_the_index_knows_elsewhere(cluster: Cluster) -> None:
    one = job()
    await a_line(cluster, one)
    cluster.checked = False
    cluster.raw.hset(cluster.keys.index, one.id, "d")
    async with Connection(cluster.url, cluster.keys.prefix) as connection:
        found = await damages(connection, cluster.keys)
    assert [each.message.endswith("but the index says b'd'") for each in found] == [True]
