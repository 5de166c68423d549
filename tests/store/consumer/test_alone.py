"""Jobs that run with nothing else on their node: how a run is announced, and whose turn it is."""

from __future__ import annotations

import pytest

from ironforge.errors import LeaseLost
from ironforge.job.record import JobState
from tests.store.kit import Cluster, completed, job_in, stream_of
from tests.store.suspects import crash, held_by_dead, see, suspects


async def test_its_delivery_is_announced_and_ends_with_it(cluster: Cluster) -> None:
    one = held_by_dead()
    await suspects(cluster, one)
    node = await cluster.node()
    assert await see(cluster, node)

    (delivery,) = await node.work.alone.fetch()

    assert stream_of(delivery) == "default:2a"
    view = await cluster.store_client.inspector.get(one.id)
    assert view.state == JobState.RUNNING
    assert view.node == node.lease.node
    await node.work.settle([completed(delivery)])
    assert await cluster.state(one) == JobState.COMPLETED
    assert not await see(cluster, node)


async def test_a_delivery_whose_answer_was_lost_is_delivered_again_and_no_other_one(cluster: Cluster) -> None:
    await suspects(cluster, held_by_dead(), held_by_dead())
    node = await cluster.node()
    assert await node.work.alone.fetch() == await node.work.alone.fetch()


async def test_a_node_that_lost_its_lease_announces_nothing(cluster: Cluster) -> None:
    await suspects(cluster, held_by_dead())
    gone, heir = await cluster.node(), await cluster.node()
    await crash(cluster, gone, heir)
    before = cluster.snapshot()
    for call in (gone.work.alone.fetch, gone.work.alone.claim):
        with pytest.raises(LeaseLost):
            await call()
    assert cluster.snapshot() == before


async def test_one_node_at_a_time_has_the_turn(cluster: Cluster) -> None:
    one, other = await cluster.node(), await cluster.node()
    assert [await node.work.alone.claim() for node in (one, one, other)] == [True, True, False]
    await other.work.alone.unclaim()  # which is not its to give back
    assert not await other.work.alone.claim()
    await one.work.alone.unclaim()
    assert await other.work.alone.claim()


@pytest.mark.parametrize("end", ["crash", "leave"])
async def test_a_turn_ends_with_the_node_that_has_it(cluster: Cluster, end: str) -> None:
    one, other = await cluster.node(), await cluster.node()
    assert await one.work.alone.claim()
    cluster.lapse(one)
    assert not await other.work.alone.claim()  # it may still renew its lease
    if end == "crash":
        await other.leases.take_over(other.lease, one.lease.node)
    else:
        await one.leases.leave(one.lease)
    assert cluster.raw.exists(cluster.keys.alone) == 0
    assert await other.work.alone.claim()


async def test_a_turn_of_a_node_that_nobody_knows_is_free(cluster: Cluster) -> None:
    """An older node forgets another one without its turn."""
    cluster.raw.set(cluster.keys.alone, "long.gone.node")
    node = await cluster.node()
    assert await node.work.alone.claim()


async def test_they_come_strictly_by_priority_and_not_from_paused_queues(cluster: Cluster) -> None:
    cluster.with_settings(queues=("a", "b"))
    jobs = [held_by_dead(queue=queue, priority=priority) for queue, priority in (("a", 3), ("b", 0), ("a", 1))]
    await suspects(cluster, *jobs)
    await cluster.store_client.producer.set_paused("b", paused=True)
    node = await cluster.node()
    assert await see(cluster, node)
    (first,) = await node.work.alone.fetch()
    await node.work.settle([completed(first)])
    (second,) = await node.work.alone.fetch()
    await node.work.settle([completed(second)])

    assert [job_in(one).id for one in (first, second)] == [jobs[2].id, jobs[0].id]
    assert await node.work.alone.fetch() == []
    assert not await see(cluster, node)
    await cluster.store_client.producer.set_paused("b", paused=False)
    assert [await see(cluster, node) for _ in range(2)] == [False, True]


async def test_they_are_counted_and_listed_as_queued(cluster: Cluster) -> None:
    await suspects(cluster, held_by_dead(), held_by_dead())
    node = await cluster.node()
    await node.work.alone.fetch()
    (depth,) = [depth for depth in (await cluster.store_client.inspector.stats()).streams if depth.queued]
    assert depth[:4] == ("default", 2, 1, 1)
    assert depth.suspects == 1
    assert len((await cluster.store_client.inspector.jobs()).jobs) == 2
