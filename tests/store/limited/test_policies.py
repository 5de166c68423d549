"""What becomes of whom when a key is full: `cancel_new` and `cancel_oldest`, with all that may happen meanwhile."""

from __future__ import annotations

import pytest

from ironforge.job.limits import PREEMPTED, Limit
from ironforge.job.record import Job, JobState
from ironforge.store import Delivery
from ironforge.store.contract import JobFilter
from tests.store.kit import Cluster, Node, completed, dead, ids_in, limited, retry, rewrite, settle


async def states(cluster: Cluster, jobs: list[Job]) -> list[JobState]:
    return [await cluster.state(each) for each in jobs]


async def reason(cluster: Cluster, job: Job) -> str:
    return (await cluster.store_client.inspector.get(job.id)).job.reason


@pytest.fixture
async def newest(cluster: Cluster) -> Cluster:
    """With the limit `one` of two jobs, where the new one is cancelled."""
    await cluster.store_client.limits.put("one", Limit(concurrency=2, when_full="cancel_new"))
    return cluster


@pytest.fixture
async def oldest(cluster: Cluster) -> Cluster:
    """With the limit `one` of two jobs, where the oldest one is cancelled."""
    await cluster.store_client.limits.put("one", Limit(concurrency=2, when_full="cancel_oldest"))
    return cluster


async def preempted(oldest: Cluster) -> tuple[Node, Job, Delivery]:
    """A node, and one of its two jobs, which has to make way for a third one."""
    node = await oldest.node()
    first, second, third = limited(3)
    await oldest.submit(first, second)
    held = await node.work.fetch(10)
    await oldest.submit(third)
    assert await node.work.fetch(10) == []
    return node, first, held[0]


async def test_of_a_batch_as_many_run_as_there_are_places_and_the_others_are_cancelled(newest: Cluster) -> None:
    node = await newest.node()
    jobs = limited(5)
    await newest.submit(*jobs)
    assert ids_in(await node.work.fetch(10)) == [each.id for each in jobs[:2]]
    assert await node.work.fetch(10) == []
    assert await states(newest, jobs[2:]) == [JobState.CANCELLED] * 3


async def test_one_that_comes_when_a_place_is_free_again_runs(newest: Cluster) -> None:
    node = await newest.node()
    await newest.submit(*limited(2))
    await settle(node, (await node.work.fetch(10))[:1])
    (third,) = limited(1)
    await newest.submit(third)
    assert ids_in(await node.work.fetch(10)) == [third.id]


async def test_one_whose_queue_is_paused_is_not_cancelled_before_it_would_run(newest: Cluster) -> None:
    newest.with_settings(queues=("default", "other"))
    node = await newest.node()
    await newest.store_client.producer.set_paused("other", paused=True)
    await newest.submit(*limited(2))
    (theirs,) = limited(1, queue="other")
    await newest.submit(theirs)
    held = await node.work.fetch(10)
    assert await newest.state(theirs) is JobState.QUEUED
    await settle(node, held)
    await newest.store_client.producer.set_paused("other", paused=False)
    node.work.reader.selector.look_again()
    assert ids_in(await node.work.fetch(10)) == [theirs.id]


async def test_a_requeued_job_is_no_new_one(newest: Cluster) -> None:
    node = await newest.node()
    jobs = limited(2)
    await newest.submit(*jobs)
    await node.work.requeue([rewrite(each) for each in await node.work.fetch(10)])
    assert sorted(ids_in(await node.work.fetch(10))) == sorted(each.id for each in jobs)


async def test_one_new_job_cancels_one_and_no_more_however_often_it_is_looked_at(oldest: Cluster) -> None:
    node = await oldest.node()
    first, second, third = limited(3)
    await oldest.submit(first, second)
    await node.work.fetch(10)
    await oldest.submit(third)
    for _ in range(3):
        assert await node.work.fetch(10) == []
        await oldest.store_client.limits.put("one", Limit(concurrency=2, when_full="cancel_oldest"))
    assert await node.work.cancel_requested([first.id, second.id]) == [first.id]
    listed = (await oldest.store_client.inspector.jobs(JobFilter(JobState.RUNNING))).jobs
    assert [view.job.id for view in listed if view.cancel_requested] == [first.id]
    assert (await oldest.store_client.inspector.get(first.id)).cancel_requested


async def test_two_new_jobs_cancel_two(oldest: Cluster) -> None:
    node = await oldest.node()
    first, second, *new = limited(4)
    await oldest.submit(first, second)
    held = await node.work.fetch(10)
    await oldest.submit(*new)
    assert await node.work.fetch(10) == []
    for delivery in held:
        await node.work.settle([completed(delivery, state="cancelled")])
        await node.work.fetch(10)
    assert await states(oldest, [first, second]) == [JobState.CANCELLED] * 2
    assert await states(oldest, new) == [JobState.RUNNING] * 2


async def test_one_that_makes_way_says_so_however_it_ends(oldest: Cluster) -> None:
    node, other = await oldest.node(), await oldest.node()
    first, second, third, fourth = limited(4)
    await oldest.submit(first, second)
    held = await node.work.fetch(10)
    await oldest.submit(third, fourth)
    assert await node.work.fetch(10) == []
    await node.work.settle([completed(held[0], state="cancelled")])
    await node.work.fetch(10)
    await node.work.park([retry(held[1])])
    assert [await reason(oldest, each) for each in (first, second)] == [PREEMPTED] * 2
    held = await other.work.fetch(10)
    await other.work.requeue([rewrite(each) for each in held])


async def test_one_that_makes_way_says_so_also_when_its_node_died(oldest: Cluster) -> None:
    node, other = await oldest.node(), await oldest.node()
    first, second, third = limited(3)
    await oldest.submit(first, second)
    await node.work.fetch(10)
    await oldest.submit(third)
    assert await other.work.fetch(10) == []
    await other.leases.take_over(other.lease, node.lease.node, seen_dead=True)
    assert await states(oldest, [first]) == [JobState.CANCELLED]
    assert await reason(oldest, first) == PREEMPTED


async def test_one_that_a_caller_has_cancelled_first_was_not_preempted(oldest: Cluster) -> None:
    node = await oldest.node()
    first, second, third = limited(3)
    await oldest.submit(first, second)
    held = await node.work.fetch(10)
    await oldest.store_client.producer.cancel(first.id)
    await oldest.submit(third)
    assert await node.work.fetch(10) == []
    await node.work.settle([completed(held[0], state="cancelled")])
    assert await reason(oldest, first) == ""


async def test_one_that_was_preempted_first_stays_so_when_a_caller_cancels_it(oldest: Cluster) -> None:
    node, first, held = await preempted(oldest)
    assert await oldest.store_client.producer.cancel(first.id) is JobState.RUNNING
    await node.work.settle([completed(held, state="cancelled")])
    assert await reason(oldest, first) == PREEMPTED


async def test_one_that_completes_all_the_same_has_no_reason(oldest: Cluster) -> None:
    node, first, held = await preempted(oldest)
    await settle(node, [held])
    assert (await oldest.state(first), await reason(oldest, first)) == (JobState.COMPLETED, "")


async def test_the_audit_finds_nothing_wrong_while_the_oldest_one_ends(oldest: Cluster) -> None:
    node, _, _ = await preempted(oldest)
    assert await node.work.audit_limits() == 0


async def test_the_oldest_one_is_cancelled_at_once_where_it_waits_to_run_again(oldest: Cluster) -> None:
    oldest.with_settings(queues=("default", "other"))
    node = await oldest.node()
    (first,), (second,), (third,) = limited(1, queue="other"), limited(1), limited(1)
    await oldest.submit(first)
    held = await node.work.fetch(10)
    await oldest.submit(second)
    await node.work.fetch(10)
    await oldest.store_client.producer.set_paused("other", paused=True)
    node.work.reader.selector.look_again()
    await node.work.requeue([rewrite(each) for each in held])
    await oldest.submit(third)
    assert ids_in(await node.work.fetch(10)) == [third.id]
    assert await oldest.state(first) is JobState.CANCELLED


async def test_the_oldest_one_is_cancelled_also_where_a_fifo_key_waits_for_its_retry(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=1, order="fifo", when_full="cancel_oldest"))
    node = await cluster.node()
    first, second = limited(2)
    await cluster.submit(first)
    await node.work.park([retry((await node.work.fetch(10))[0], 3_600_000)])
    await cluster.submit(second)
    assert ids_in(await node.work.fetch(10)) == [second.id]
    assert await cluster.state(first) is JobState.CANCELLED


async def test_a_dead_job_that_a_key_waits_for_is_not_cancelled(cluster: Cluster) -> None:
    limit = Limit(concurrency=1, order="fifo", on_failure="park", when_full="cancel_oldest")
    await cluster.store_client.limits.put("one", limit)
    node = await cluster.node()
    first, second = limited(2)
    await cluster.submit(first)
    await node.work.bury([dead((await node.work.fetch(10))[0])])
    await cluster.submit(second)
    assert await node.work.fetch(10) == []
    assert await states(cluster, [first, second]) == [JobState.DEAD, JobState.QUEUED]
