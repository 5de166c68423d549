"""Jobs that may have killed nodes: where they go, and which crash buries them."""

from __future__ import annotations

import asyncio

import pytest

from ironforge.job.record import JobState, encode
from ironforge.store import Submission
from tests.store.kit import Cluster, dead, job, job_in, retry, rewrite, stream_of
from tests.store.suspects import crash, held_by_dead, suspects


async def test_a_job_that_was_held_by_dead_nodes_goes_where_no_fetch_finds_it(cluster: Cluster) -> None:
    one, tame = held_by_dead(), job()
    victim, heir = await cluster.node(), await cluster.node()
    await cluster.submit(one, tame)
    await victim.work.fetch(2)
    await crash(cluster, victim, heir)

    assert [job_in(delivery).id for delivery in await heir.work.fetch(5)] == [tame.id]
    view = await cluster.store_client.inspector.get(one.id)
    assert view.state == JobState.QUEUED
    assert view.job.crashes == 2
    assert view.alone is True
    shown = {view.job.id: view.alone for view in (await cluster.store_client.inspector.jobs()).jobs}
    assert shown == {one.id: True, tame.id: False}


async def test_a_crash_of_its_own_run_buries_it_and_says_so(cluster: Cluster) -> None:
    one = held_by_dead()
    await suspects(cluster, one)
    victim, heir = await cluster.node(), await cluster.node()
    await victim.work.alone.fetch()
    await crash(cluster, victim, heir)

    view = await cluster.store_client.inspector.get(one.id)
    said = f"node {victim.lease.node} died, or lost its lease, while it ran nothing but this job"
    assert view.state == JobState.DEAD
    assert view.job.crashes == 3
    assert view.job.reason == f"poison: {said}"
    assert [(one.type, one.message, one.node) for one in view.job.errors] == [("Crash", said, victim.lease.node)]
    assert [cluster.totals().get(name, 0) for name in ("failed", "dead", "poison")] == [0, 1, 1]


async def test_no_crash_among_others_buries_a_job(cluster: Cluster) -> None:
    """An older node, or one with another budget, may have it among others however often it crashed."""
    jobs = [job(crashes=crashes) for crashes in range(9)]
    victim, heir = await cluster.node(), await cluster.node()
    await cluster.submit(*jobs)
    await victim.work.fetch(9)
    await crash(cluster, victim, heir)

    views = [await cluster.store_client.inspector.get(one.id) for one in jobs]
    assert {view.state for view in views} == {JobState.QUEUED}
    assert [view.job.crashes for view in views] == [1, 2, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("budget", [1, 2])
async def test_the_smallest_budget_also_wants_a_crash_of_its_own(cluster: Cluster, budget: int) -> None:
    cluster.with_settings(crash_budget=budget)
    one = job()
    await suspects(cluster, one)
    assert await cluster.state(one) == JobState.QUEUED
    assert (await cluster.store_client.inspector.get(one.id)).job.crashes == 1
    victim, heir = await cluster.node(), await cluster.node()
    await victim.work.alone.fetch()
    await crash(cluster, victim, heir)
    assert await cluster.state(one) == JobState.DEAD


async def test_one_that_is_requeued_waits_to_run_alone_again(cluster: Cluster) -> None:
    one = held_by_dead()
    await suspects(cluster, one)
    first, second = await cluster.node(), await cluster.node()
    (delivery,) = await first.work.alone.fetch()
    await first.work.requeue([rewrite(delivery)])
    await first.work.alone.fetch()
    await first.leases.leave(first.lease)

    (again,) = await second.work.alone.fetch()
    assert job_in(again).crashes == 2
    assert job_in(again).fence == 3
    assert await second.work.fetch(5) == []


async def test_one_that_waits_can_be_cancelled(cluster: Cluster) -> None:
    one = held_by_dead()
    await suspects(cluster, one)
    assert await cluster.store_client.producer.cancel(one.id) == JobState.CANCELLED
    node = await cluster.node()
    assert await node.work.alone.fetch() == []


async def test_one_that_is_to_be_cancelled_when_its_node_dies_is_cancelled(cluster: Cluster) -> None:
    one = held_by_dead()
    await suspects(cluster, one)
    victim, heir = await cluster.node(), await cluster.node()
    await victim.work.alone.fetch()
    assert await cluster.store_client.producer.cancel(one.id) == JobState.RUNNING
    await crash(cluster, victim, heir)
    assert await cluster.state(one) == JobState.CANCELLED


async def test_one_that_is_dead_is_revived_as_if_nothing_had_been(cluster: Cluster) -> None:
    one = held_by_dead()
    await suspects(cluster, one)
    victim, heir = await cluster.node(), await cluster.node()
    await victim.work.alone.fetch()
    await crash(cluster, victim, heir)
    await cluster.store_client.producer.retry(one.id, reset_retry_count=False)
    (delivery,) = await heir.work.fetch(5)
    assert stream_of(delivery) == "default:2"
    assert job_in(delivery).crashes == 0


@pytest.mark.parametrize(("how", "state"), [("park", JobState.SCHEDULED), ("bury", JobState.DEAD)])
async def test_one_that_failed_leaves_like_any_other(cluster: Cluster, how: str, state: JobState) -> None:
    one = held_by_dead()
    await suspects(cluster, one)
    node = await cluster.node()
    (delivery,) = await node.work.alone.fetch()
    make = {"park": retry, "bury": dead}[how]
    for _ in range(2):  # the second is what a lost reply leads to
        await getattr(node.work, how)([make(delivery)])
    assert await cluster.state(one) == state
    if how == "park":
        cluster.ripen()
        assert (await node.work.promote()).moved == 1
        (again,) = await node.work.fetch(5)
        assert stream_of(again) == "default:2"


async def test_a_fairness_key_is_no_way_around(cluster: Cluster) -> None:
    jobs = [held_by_dead(fairness_key=key) for key in "xy"]
    await suspects(cluster, *jobs)
    node = await cluster.node()
    assert await node.work.fetch(5) == []
    assert len(await node.work.alone.fetch()) == 1


async def test_one_that_comes_back_from_the_quarantine_waits_to_run_alone(cluster: Cluster) -> None:
    one = job(crashes=2)
    cluster.raw.xadd(cluster.keys.quarantine, {"record": encode(one), "stream": "default:2", "reason": "newer"})
    node = await cluster.node()
    assert await node.work.restore() == 1
    assert await node.work.fetch(5) == []
    (delivery,) = await node.work.alone.fetch()
    assert job_in(delivery) == one


async def test_a_new_incarnation_buries_what_the_one_before_ran_alone_when_it_was_taken_over(cluster: Cluster) -> None:
    """Whoever took over may have been slower than the node itself."""
    one, tame = held_by_dead(), job()
    await suspects(cluster, one)
    node, heir = await cluster.node(), await cluster.node()
    await node.work.alone.fetch()
    await cluster.submit(tame)
    await node.work.fetch(1)
    cluster.lapse(node)
    heir.leases._recovery.everything = lambda *_: asyncio.sleep(0, 0)
    await heir.leases.take_over(heir.lease, node.lease.node)

    await node.leases.join()

    assert [await cluster.state(one), await cluster.state(tame)] == [JobState.DEAD, JobState.QUEUED]
    assert (await cluster.store_client.inspector.get(tame.id)).job.crashes == 0


async def test_a_new_incarnation_requeues_what_the_one_before_ran_alone_when_only_a_group_was_destroyed(
    cluster: Cluster,
) -> None:
    one = held_by_dead()
    await suspects(cluster, one)
    node = await cluster.node()
    await cluster.submit(job())
    await node.work.alone.fetch()
    cluster.raw.xgroup_destroy(cluster.keys.stream("default:2"), "nodes")
    other = await cluster.node()

    await node.leases.join()

    view = await cluster.store_client.inspector.get(one.id)
    assert view.state == JobState.QUEUED
    assert view.job.crashes == 2
    await other.leases.leave(other.lease)


async def test_a_node_that_cannot_go_on_leaves_its_jobs_as_after_a_crash(cluster: Cluster) -> None:
    alone, held = held_by_dead(), job()
    await suspects(cluster, alone)
    node = await cluster.node()
    await cluster.submit(held)
    await node.work.fetch(1)
    await node.work.alone.fetch()
    await node.leases.leave(node.lease, crashed=True)

    views = [await cluster.store_client.inspector.get(one.id) for one in (alone, held)]
    assert [(view.state, view.job.crashes) for view in views] == [(JobState.DEAD, 3), (JobState.QUEUED, 1)]
    assert views[0].job.reason == f"poison: a role of node {node.lease.node} crashed while it ran nothing but this job"


async def test_what_blocked_the_loop_is_told_in_the_record(cluster: Cluster) -> None:
    guilty, tame = job(), job()
    victim, heir = await cluster.node(), await cluster.node()
    await cluster.submit(guilty, tame)
    await victim.work.fetch(2)
    victim.leases.note_blocked(victim.lease, guilty.id, "blocked the event loop for 7 s in tasks.py:3 crunch")
    assert 0 < cluster.raw.pttl(cluster.keys.blocked(victim.lease.node)) <= 60_000
    await crash(cluster, victim, heir)

    (error,) = (await cluster.store_client.inspector.get(guilty.id)).job.errors
    assert error.type == "BlockedLoop"
    assert error.attempt == 1
    assert error.message.endswith("held this job, whose handler blocked the event loop for 7 s in tasks.py:3 crunch")
    assert (await cluster.store_client.inspector.get(tame.id)).job.errors == ()


async def test_what_does_no_longer_block_is_not_told(cluster: Cluster) -> None:
    one = job()
    victim, heir = await cluster.node(), await cluster.node()
    await cluster.submit(one)
    await victim.work.fetch(1)
    victim.leases.note_blocked(victim.lease, one.id, "blocked the event loop")
    victim.leases.note_blocked(victim.lease, one.id, "")
    await crash(cluster, victim, heir)
    assert (await cluster.store_client.inspector.get(one.id)).job.errors == ()


async def test_a_repeated_submission_finds_one_that_waits(cluster: Cluster) -> None:
    one = held_by_dead()
    await suspects(cluster, one)
    (answer,) = await cluster.store_client.producer.submit([Submission(one, again=True)])
    assert answer.id == one.id
    assert answer.state is JobState.QUEUED
    assert answer.replayed is True
