"""Jobs that run with nothing else on their node: how a run is announced, and whose turn it is."""

from __future__ import annotations

import pytest

from ironforge.errors import LeaseLost
from ironforge.job.record import JobState, decode
from tests.store.kit import Cluster, completed
from tests.store.suspects import crash, held_by_dead, see, suspects


async def test_its_delivery_is_announced_and_ends_with_it(cluster: Cluster) -> None:
    one = held_by_dead()
    await suspects(cluster, one)
    node = await cluster.node()
    assert await see(cluster, node)

    (delivery,) = await node.work.alone.fetch()

    assert "default:2a" == delivery.stream
    view = await cluster.store_client.inspector.get(one.id)
    assert (JobState.RUNNING, node.lease.node) == (view.state, view.node)
    await node.work.settle([completed(delivery)])
    assert JobState.COMPLETED == await cluster.state(one)
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
    assert before == cluster.snapshot()


async def test_one_node_at_a_time_has_the_turn(cluster: Cluster) -> None:
    one, other = await cluster.node(), await cluster.node()
    assert [True, True, False] == [await node.work.alone.claim() for node in (one, one, other)]
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
    assert 0 == cluster.raw.exists(cluster.keys.alone)
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

    assert [jobs[2].id, jobs[0].id] == [decode(one.record).id for one in (first, second)]
    assert [] == await node.work.alone.fetch()
    assert not await see(cluster, node)
    await cluster.store_client.producer.set_paused("b", paused=False)
    assert [False, True] == [await see(cluster, node) for _ in range(2)]


async def test_they_are_counted_and_listed_as_queued(cluster: Cluster) -> None:
    await suspects(cluster, held_by_dead(), held_by_dead())
    node = await cluster.node()
    await node.work.alone.fetch()
    (depth,) = [depth for depth in (await cluster.store_client.inspector.stats()).streams if depth.queued]
    assert ("default", 2, 1, 1, 1) == (*depth[:4], depth.suspects)
    assert 2 == len((await cluster.store_client.inspector.jobs()).jobs)


async def test_nobody_waits_for_a_turn_that_somebody_has_replaced(cluster: Cluster) -> None:
    node = await cluster.node()
    cluster.raw.hset(cluster.keys.alone, "not", "ours")
    assert not await node.work.alone.claim()
    await node.leases.leave(node.lease)
    cluster.raw.delete(cluster.keys.alone)
