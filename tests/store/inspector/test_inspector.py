"""Looking: what a job, a list, the counters and the nodes look like from outside, also while things move."""

from __future__ import annotations

import asyncio
import base64

import msgspec
import pytest

from ironforge.errors import JobNotFound
from ironforge.job.record import Job, JobState, Priority, decode, encode
from ironforge.steps.waits import OF_STEPS, Wait, WaitFor
from ironforge.store import Delivery, JobFilter, JobView, NodeView, StreamDepth
from ironforge.store.inspector.census import TOTALS
from ironforge.store.steps.contract import NewWait
from tests.store.kit import Cluster, completed, dead, job, job_in, now_ms, retry

# The age of a delivery and the time are told one after the other.
BETWEEN_MS = 1_000


async def everything(cluster: Cluster, limit: int = 50, **filters: object) -> list[JobView]:
    """All pages, none of which may be longer than asked."""
    views: list[JobView] = []
    cursor = None
    while True:
        page = await cluster.store_client.inspector.jobs(JobFilter(**filters), limit=limit, cursor=cursor)
        assert len(page.jobs) <= limit
        views += page.jobs
        cursor = page.cursor
        if cursor is None:
            return views


async def test_a_job_that_runs_began_at_the_same_moment_whenever_it_is_looked_at(cluster: Cluster) -> None:
    node, one = await cluster.node(), job()
    await cluster.submit(one)
    await node.work.fetch(1)
    looks = [await cluster.store_client.inspector.get(one.id) for _ in range(1_000)]
    assert len({look.started_ms for look in looks}) == 1


async def test_a_job_is_seen_in_each_of_its_states(cluster: Cluster) -> None:
    node = await cluster.node()
    one = job()
    get = cluster.store_client.inspector.get
    await cluster.submit(one)
    assert await get(one.id) == JobView(one, JobState.QUEUED)
    before = now_ms()
    (delivery,) = await node.work.fetch(1)
    running = await get(one.id)
    assert running.state == JobState.RUNNING
    assert running.node == node.lease.node
    assert running.cancel_requested is False
    assert before - BETWEEN_MS <= running.started_ms <= now_ms() + BETWEEN_MS
    before = now_ms()
    await node.work.park([retry(delivery, 60_000)])
    scheduled = await get(one.id)
    assert scheduled.state == JobState.SCHEDULED
    assert scheduled.job.attempt == 1
    assert before <= scheduled.due_ms - 60_000 <= now_ms()
    cluster.ripen()
    await node.work.promote()
    (delivery,) = await node.work.fetch(1)
    await node.work.bury([dead(delivery)])
    assert (await get(one.id)).state == JobState.DEAD
    assert (await get(one.id)).job.reason == "no more"


async def test_a_record_past_its_own_retention_is_gone_before_its_bucket(cluster: Cluster) -> None:
    node = await cluster.node()
    short, plain = job(retain_ms=1), job()
    await cluster.submit(short, plain)
    deliveries = await node.work.fetch(2)
    await node.work.settle([completed(deliveries[0], retention_ms=1)])
    await node.work.settle([completed(deliveries[1])])
    while now_ms() <= decode(_record(cluster, short)).ended_ms + 1:
        await asyncio.sleep(0)
    with pytest.raises(JobNotFound):
        await cluster.store_client.inspector.get(short.id)
    assert [view.job.id for view in await everything(cluster)] == [plain.id]


def _record(cluster: Cluster, one) -> bytes:
    return cluster.raw.hget(cluster.keys.bucket_of(one.id, "done"), one.id)


@pytest.mark.parametrize("location", [b"q:default:2:1-1", b"s:default:2", b"w:default:2", b"d"])
async def test_an_index_that_points_at_nothing_is_no_job(cluster: Cluster, location: bytes) -> None:
    one = job()
    cluster.raw.hset(cluster.keys.index, one.id, location)
    with pytest.raises(JobNotFound):
        await cluster.store_client.inspector.get(one.id)
    cluster.checked = False


async def test_a_parked_record_without_a_due_time_is_no_scheduled_job(cluster: Cluster) -> None:
    one = job()
    cluster.raw.hset(cluster.keys.index, one.id, "s:default:2")
    cluster.raw.hset(cluster.keys.parked, one.id, encode(one))
    with pytest.raises(JobNotFound):
        await cluster.store_client.inspector.get(one.id)
    cluster.checked = False


async def test_a_read_survives_a_connection_that_was_cut(cluster: Cluster) -> None:
    one = job()
    await cluster.submit(one)
    for _ in range(5):
        await cluster.store_client.inspector.get(one.id)
    cluster.raw.client_kill_filter(_type="normal", skipme=True)
    views = [await cluster.store_client.inspector.get(one.id) for _ in range(2)]
    assert [view.job for view in views] == [one, one]


def waits(delivery: Delivery, what: WaitFor) -> NewWait:
    wait = Wait(what, "step", "event" if what == "event" else "")
    record = job_in(delivery).again(wait=wait, journal=True, version=2)
    return NewWait.of(*delivery[:2], record, now_ms())


async def populate(cluster: Cluster) -> dict[JobState, list[bytes]]:
    node = await cluster.node()
    waiting = [job(queue="default", kind=f"kind{n % 2}") for n in range(4)]
    await cluster.submit(*waiting)
    for delivery, what in zip(await node.work.fetch(4), (*OF_STEPS, "event"), strict=True):
        await node.work.park_waiting([waits(delivery, what)])
    jobs = [job(queue="default", kind=f"kind{n % 2}") for n in range(12)]
    await cluster.submit(*jobs[:10])
    await cluster.submit(*jobs[10:], delay_ms=60_000)
    await cluster.submit(job(queue="other"), run_at_ms=now_ms() + 60_000)
    deliveries = await node.work.fetch(8)
    await node.work.settle([completed(delivery) for delivery in deliveries[:3]])
    await node.work.settle([completed(deliveries[3], state="cancelled", retention_ms=7_200_000)])
    for delivery in deliveries[4:6]:
        await node.work.bury([dead(delivery)])
    await cluster.store_client.producer.cancel(jobs[6].id)
    ids = [one.id for one in jobs]
    return {
        JobState.COMPLETED: ids[:3],
        JobState.CANCELLED: ids[3:4],
        JobState.DEAD: ids[4:6],
        JobState.RUNNING: ids[6:8],
        JobState.QUEUED: ids[8:10],
        JobState.SCHEDULED: ids[10:],
        JobState.WAITING: [one.id for one in waiting],
    }


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
async def test_pages_of_any_size_show_every_job_once(cluster: Cluster, limit: int) -> None:
    expected = await populate(cluster)
    views = await everything(cluster, limit, queue="default")
    found = {state: sorted(view.job.id for view in views if view.state is state) for state in JobState}
    assert found == {state: sorted(ids) for state, ids in expected.items()}
    assert [view.cancel_requested for view in views if view.state is JobState.RUNNING] == [True, False]
    assert all(view.due_ms for view in views if view.state is JobState.SCHEDULED)
    assert {view.waiting_for.code for view in views if view.state is JobState.WAITING and view.waiting_for} == {
        *OF_STEPS
    }


@pytest.mark.parametrize("state", list(JobState))
async def test_a_list_of_one_state_and_kind(cluster: Cluster, state: JobState) -> None:
    expected = await populate(cluster)
    views = await everything(cluster, 2, state=state, kind="kind0", queue="default")
    wanted = set(expected[state]) & {view.job.id for view in views}
    assert wanted == {view.job.id for view in views}
    assert {"kind0"} == {view.job.kind for view in views} or state is JobState.CANCELLED
    everyone = await everything(cluster, state=state, queue="default")
    assert sorted(view.job.id for view in everyone) == sorted(expected[state])


async def test_the_dead_come_newest_first(cluster: Cluster) -> None:
    node = await cluster.node()
    jobs = [job() for _ in range(3)]
    await cluster.submit(*jobs)
    await node.work.bury([dead(delivery) for delivery in await node.work.fetch(3)])
    for score, one in enumerate(jobs, start=1):
        cluster.raw.zadd(cluster.keys.dead, {one.id: score})
    views = await everything(cluster, 2, state=JobState.DEAD)
    assert [view.job.id for view in views] == [one.id for one in reversed(jobs)]


async def test_a_batch_with_one_due_time_is_paged_through(cluster: Cluster) -> None:
    jobs = [job() for _ in range(700)]
    await cluster.submit(*jobs, run_at_ms=now_ms() + 60_000)
    views = await everything(cluster, 300, state=JobState.SCHEDULED)
    assert sorted(view.job.id for view in views) == sorted(one.id for one in jobs)


async def test_a_large_bucket_is_paged_through(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(*[job() for _ in range(1_500)])
    await node.work.settle([completed(delivery) for delivery in await node.work.fetch(1_500)])
    views = await everything(cluster, 170)
    assert len({view.job.id for view in views}) == 1_500
    assert len(views) == 1_500


async def test_a_page_looks_at_a_bounded_number_of_records(cluster: Cluster) -> None:
    await cluster.submit(*[job() for _ in range(2_100)], job(kind="rare"))
    page = await cluster.store_client.inspector.jobs(JobFilter(kind="rare"))
    assert page.jobs == []
    assert page.cursor is not None
    page = await cluster.store_client.inspector.jobs(JobFilter(kind="rare"), cursor=page.cursor)
    assert [view.job.kind for view in page.jobs] == ["rare"]
    assert page.cursor is None


async def test_large_payloads_come_a_few_at_a_time_and_are_all_listed(cluster: Cluster) -> None:
    large = b'"' + b"x" * 1_000_000 + b'"'
    jobs = [msgspec.structs.replace(job(queue), payload=large) for queue in ("a", "b") for _ in range(7)]
    await cluster.submit(*jobs[:10])
    await cluster.submit(*jobs[10:], delay_ms=60_000)
    assert [view.job.id for view in await everything(cluster, 5)] == [one.id for one in jobs]


async def test_bytes_that_are_no_job_are_passed_over(cluster: Cluster) -> None:
    one = job()
    cluster.raw.xadd(cluster.keys.stream("default:2"), {"j": b"garbage"})
    await cluster.submit(one)
    assert [view.job.id for view in await everything(cluster)] == [one.id]
    assert (await cluster.store_client.inspector.stats()).streams[2].queued == 2
    cluster.checked = False


async def test_a_cursor_goes_on_after_its_source_has_expired(cluster: Cluster) -> None:
    node = await cluster.node()
    old, new = job(id=b"\x01\x00" + job().id[2:]), job()
    await cluster.submit(old, new)
    await node.work.settle([completed(delivery) for delivery in await node.work.fetch(2)])
    page = await cluster.store_client.inspector.jobs(limit=1)
    assert [view.job.id for view in page.jobs] == [new.id]
    cluster.raw.zrem(cluster.keys.buckets, cluster.keys.bucket_of(new.id, "done"))
    page = await cluster.store_client.inspector.jobs(limit=5, cursor=page.cursor)
    assert [view.job.id for view in page.jobs] == [old.id]
    assert page.cursor is None


@pytest.mark.parametrize("cursor", ["x", "äöü", "AAAA", "AAAAAAAA", base64.b64encode(b"[1,2]" * 9).decode(), "!" * 40])
async def test_a_cursor_from_elsewhere_is_refused(cluster: Cluster, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        await cluster.store_client.inspector.jobs(cursor=cursor)


async def test_stats_count_each_stream(cluster: Cluster) -> None:
    node = await cluster.node()
    jobs = [job(), job(), job("elsewhere", 0)]
    await cluster.submit(*jobs)
    await cluster.submit(job(), delay_ms=60_000)
    await node.work.fetch(1)
    cluster.raw.xgroup_create(cluster.keys.stream("elsewhere:0"), "a stranger")
    before = now_ms()
    stats = await cluster.store_client.inspector.stats()
    waiting, elsewhere = [_came_ms(cluster, one) for one in jobs[1:]]
    assert stats.streams[2] == StreamDepth("default", Priority.MEDIUM, 1, 1, waiting)
    assert stats.streams[4] == StreamDepth("elsewhere", Priority.CRITICAL, 1, 0, elsewhere)
    assert stats.streams[3] == StreamDepth("default", Priority.LOW, 0, 0, None)
    zeros = dict.fromkeys(TOTALS[1:], 0)
    assert len(stats.streams) == 8
    assert stats.scheduled == 1
    assert stats.dead == 0
    assert stats.totals == {"submitted": 4, **zeros}
    assert before <= stats.now_ms <= now_ms()


def _came_ms(cluster: Cluster, one: Job) -> int:
    """When it came into its stream."""
    return int(cluster.raw.hget(cluster.keys.index, one.id).split(b":")[-1].split(b"-")[0])


async def test_an_empty_namespace_has_stats_too(cluster: Cluster) -> None:
    stats = await cluster.store_client.inspector.stats()
    zeros = dict.fromkeys(TOTALS, 0)
    assert stats[:4] == ([], 0, 0, zeros)
    assert await cluster.store_client.inspector.nodes() == []
    assert await everything(cluster) == []


async def test_nodes_are_seen_with_their_lease_and_what_they_run(cluster: Cluster) -> None:
    busy, idle = await cluster.node(), await cluster.node()
    await cluster.submit(job(priority=0), job(priority=3), job("unserved"))
    await busy.work.fetch(5)
    cluster.lapse(idle)
    deadline_ms, before = cluster.raw.zscore(cluster.keys.nodes, busy.lease.node), now_ms()
    nodes = {node.name: node for node in await cluster.store_client.inspector.nodes()}
    assert nodes[busy.lease.node].running == 2
    assert before <= deadline_ms - nodes[busy.lease.node].lease_ms_left <= now_ms()
    assert isinstance(nodes[idle.lease.node], NodeView)
    assert nodes[idle.lease.node].lease_ms_left < 0
