"""The server forgets what only it knew: who runs what, and what time it is."""

from __future__ import annotations

import pytest

from ironforge.errors import LeaseLost
from ironforge.redis.keys import LOST
from tests.store.kit import Cluster, completed, job, job_in, keyed, stream_of


async def test_who_ran_a_job_when_its_group_was_destroyed_settles_it_no_more(cluster: Cluster) -> None:
    """Otherwise it would settle twice: the group remembers nothing, and gives the job to somebody else."""
    one, other = await cluster.node(), await cluster.node()
    running, waiting = job(), job()
    await cluster.submit(running)
    (delivery,) = await one.work.fetch(1)
    await cluster.submit(waiting)
    cluster.raw.xgroup_destroy(cluster.keys.stream("default:2"), "nodes")

    assert await other.work.fetch(5) == []
    with pytest.raises(LeaseLost):
        await one.work.settle([completed(delivery)])
    with pytest.raises(LeaseLost):
        one.leases.beat(one.lease)
    again = one.store.work(await one.leases.join())
    runs = {item.id: item for item in (job_in(delivery) for delivery in await again.fetch(5))}
    assert set(runs) == {running.id, waiting.id}
    assert [run.fence for run in runs.values()] == [1, 1]
    assert [run.crashes for run in runs.values()] == [0, 0]
    assert LOST not in await one.leases.orphan_consumers()


async def test_what_a_destroyed_group_left_is_taken_over_without_a_crash(cluster: Cluster) -> None:
    """The node that found it died before it could put anything back."""
    await cluster.node()
    one = job()
    await cluster.submit(one)
    cluster.raw.xgroup_destroy(cluster.keys.stream("default:2"), "nodes")

    await cluster.node()
    late = await cluster.node()
    assert LOST in await late.leases.orphan_consumers()
    assert await late.leases.take_over(late.lease, LOST) == 1
    (delivery,) = await late.work.fetch(5)
    assert job_in(delivery).fence == 1
    assert job_in(delivery).crashes == 0


async def test_a_clock_that_goes_back_does_not_keep_a_dead_node_alive(cluster: Cluster) -> None:
    dead, living, other = [await cluster.node() for _ in range(3)]
    for node in (dead, living, other):  # as the clock would have written them before it went back by an hour
        cluster.raw.zincrby(cluster.keys.nodes, 3_600_000, node.lease.node)
    newcomer = await cluster.node()

    assert living.leases.beat(living.lease) == []
    assert other.leases.beat(other.lease) == []

    left = {view.name: view.lease_ms_left for view in await cluster.store_client.inspector.nodes()}
    lease_ms = 1000 * cluster.settings.lease_seconds
    assert {node.lease.node for node in (dead, living, other, newcomer)} == set(left)
    assert all(0.8 * lease_ms < left_ms <= 1.2 * lease_ms for left_ms in left.values()), left


@pytest.mark.parametrize("twin", ["", "r"])
@pytest.mark.parametrize("afterwards", [0, 3])
async def test_nor_does_a_fairness_key_hide_that_a_group_was_destroyed(
    cluster: Cluster, twin: str, afterwards: int
) -> None:
    """Neither who submits nor who takes turns may make a group: it would give out again what somebody runs."""
    one, other = await cluster.node(), await cluster.node()
    await cluster.submit(*keyed("a", 4))
    deliveries = await one.work.fetch(2)
    assert {stream_of(delivery) for delivery in deliveries} == {"default:2", "default:2r"}
    [running] = [delivery for delivery in deliveries if stream_of(delivery) == f"default:2{twin}"]
    cluster.raw.xgroup_destroy(cluster.keys.stream(stream_of(running)), "nodes")
    if afterwards:
        await cluster.submit(*keyed("b", afterwards))

    await other.work.fetch(20)
    with pytest.raises(LeaseLost):
        await one.work.settle([completed(running)])
    again = one.store.work(await one.leases.join())
    fences = {item.id: item.fence for item in (job_in(delivery) for delivery in await again.fetch(20))}
    assert fences[job_in(running).id] == 1


async def test_a_node_that_was_seen_to_die_is_taken_over_though_its_lease_goes_on(cluster: Cluster) -> None:
    gone, heir = await cluster.node(), await cluster.node()
    await cluster.submit(job())
    [delivery] = await gone.work.fetch(1)
    assert await heir.leases.take_over(heir.lease, gone.lease.node, seen_dead=True) == 1
    [again] = await heir.work.fetch(1)
    assert job_in(again).crashes == 1
    with pytest.raises(LeaseLost):
        await gone.work.settle([completed(delivery)])
