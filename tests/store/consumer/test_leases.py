"""Leases: who holds one, who lost it, and what becomes of the jobs of a node that is gone."""

from __future__ import annotations

import asyncio

import pytest

from ironforge.errors import LeaseLost, StoreUnavailable
from ironforge.job.record import JobState, encode
from ironforge.redis.scripts import RETIRE
from ironforge.store import NodeStore
from tests.store.kit import Cluster, Node, completed, dead, job, job_in, now_ms, retry, rewrite


def renewed_ms(cluster: Cluster, node: Node) -> float:
    """When the node's lease was last renewed."""
    return cluster.raw.zscore(cluster.keys.nodes, node.lease.node) - cluster.settings.lease_seconds * 1000


async def test_joining_gives_a_name_a_lease_and_a_rising_epoch(cluster: Cluster) -> None:
    before = now_ms()
    first, second = await cluster.node(), await cluster.node()
    assert first.lease.node != second.lease.node
    assert first.lease.epoch < second.lease.epoch
    assert before <= renewed_ms(cluster, first) <= now_ms()
    assert cluster.raw.get(cluster.keys.fence(first.lease.node)) == str(first.lease.epoch).encode()
    groups = [cluster.raw.xinfo_groups(key) for key in cluster.keys.streams(["default"])]
    assert [group["name"].decode() for (group,) in groups] == ["nodes"] * 12


async def test_a_beat_renews_the_lease_and_names_those_that_ran_out(cluster: Cluster) -> None:
    nodes = [await cluster.node() for _ in range(3)]
    cluster.lapse(nodes[0], nodes[1])
    before = now_ms()
    assert nodes[0].leases.beat(nodes[0].lease) == [nodes[1].lease.node]
    assert before <= renewed_ms(cluster, nodes[0]) <= now_ms()
    assert nodes[2].leases.beat(nodes[2].lease) == [nodes[1].lease.node]


async def test_a_beat_survives_a_server_that_forgot_the_script(cluster: Cluster) -> None:
    node = await cluster.node()
    cluster.raw.script_flush()
    assert node.leases.beat(node.lease) == []


async def test_a_beat_survives_a_connection_that_was_cut(cluster: Cluster) -> None:
    node = await cluster.node()
    node.leases.beat(node.lease)
    cluster.raw.client_kill_filter(_type="normal", skipme=True)
    assert node.leases.beat(node.lease) == []


async def test_a_beat_does_not_wait_for_a_server_that_is_away(cluster: Cluster) -> None:
    node = await cluster.node()
    cluster.with_settings(redis_url="redis://127.0.0.1:1")
    lonely = NodeStore(cluster.settings)
    with pytest.raises(StoreUnavailable):
        lonely.leases.beat(node.lease)
    await lonely.close()


async def test_a_node_with_a_lease_is_not_taken_over(cluster: Cluster) -> None:
    holder, other = await cluster.node(), await cluster.node()
    await cluster.submit(job())
    await holder.work.fetch(1)
    before = cluster.snapshot()
    assert await other.leases.take_over(other.lease, holder.lease.node) == 0
    assert cluster.snapshot() == before


async def test_taking_over_requeues_jobs_in_their_own_priority_and_forgets_the_node(cluster: Cluster) -> None:
    gone, heir = await cluster.node(), await cluster.node()
    jobs = [job(priority=priority) for priority in (0, 1, 3)]
    await cluster.submit(*jobs)
    await gone.work.fetch(3)
    cluster.lapse(gone)
    assert await heir.leases.take_over(heir.lease, gone.lease.node) == 3
    assert cluster.raw.zrange(cluster.keys.nodes, 0, -1) == [heir.lease.node.encode()]
    assert 86_000 < cluster.raw.ttl(cluster.keys.fence(gone.lease.node)) <= 86_400
    found = [job_in(delivery) for delivery in await heir.work.fetch(5)]
    assert [(one.id, one.crashes, one.fence) for one in found] == [(one.id, 1, 1) for one in jobs]
    for stream in cluster.keys.streams(["default"]):
        consumers = cluster.raw.xinfo_consumers(stream, "nodes")
        assert gone.lease.node.encode() not in [consumer["name"] for consumer in consumers]


async def test_jobs_of_a_live_node_stay_where_they_are(cluster: Cluster) -> None:
    gone, heir, third = await cluster.node(), await cluster.node(), await cluster.node()
    await cluster.submit(*[job() for _ in range(1_200)])
    running = await third.work.fetch(600)
    await gone.work.fetch(600)
    cluster.lapse(gone)
    assert await heir.leases.take_over(heir.lease, gone.lease.node) == 600
    await third.work.settle([completed(delivery) for delivery in running])
    assert len(cluster.entries()) == 600
    assert cluster.pending() == 0


async def test_a_take_over_without_a_crash_burns_nothing(cluster: Cluster) -> None:
    gone, heir = await cluster.node(), await cluster.node()
    await cluster.submit(job(crashes=1))
    await gone.work.fetch(1)
    cluster.lapse(gone)
    assert await heir.leases.take_over(heir.lease, gone.lease.node, crashed=False) == 1
    ((delivery,),) = [await heir.work.fetch(1)]
    assert job_in(delivery).crashes == 1


async def test_a_take_over_cancels_what_was_to_be_cancelled(cluster: Cluster) -> None:
    gone, heir = await cluster.node(), await cluster.node()
    one = job()
    await cluster.submit(one)
    await gone.work.fetch(1)
    await cluster.store_client.producer.cancel(one.id)
    cluster.lapse(gone)
    assert await heir.leases.take_over(heir.lease, gone.lease.node) == 1
    assert await cluster.state(one) == JobState.CANCELLED


async def test_a_take_over_copes_with_entries_that_are_gone_or_no_job(cluster: Cluster) -> None:
    gone, heir = await cluster.node(), await cluster.node()
    stream = cluster.keys.stream("default:2")
    cluster.raw.xadd(stream, {"j": b"garbage"})
    lost = cluster.raw.xadd(stream, {"j": encode(job())})
    await gone.work.fetch(2)
    cluster.raw.xdel(stream, lost)
    cluster.lapse(gone)
    assert await heir.leases.take_over(heir.lease, gone.lease.node) == 0
    assert await heir.leases.orphan_consumers() == []
    assert cluster.raw.xlen(cluster.keys.quarantine) == 1
    assert cluster.pending() == 0


async def test_a_half_done_take_over_is_finished_by_the_next(cluster: Cluster) -> None:
    gone, heir, next_heir = [await cluster.node() for _ in range(3)]
    await cluster.submit(job(), job())
    await gone.work.fetch(2)
    cluster.lapse(gone)
    retire = heir.leases._connection.run
    calls = []

    async def die_after_the_fence(script, keys, arguments):
        if calls:
            raise KeyboardInterrupt
        calls.append(script.name)
        return await retire(script, keys, arguments)

    heir.leases._connection.run = die_after_the_fence
    with pytest.raises(KeyboardInterrupt):
        await heir.leases.take_over(heir.lease, gone.lease.node)
    heir.leases._connection.run = retire
    assert next_heir.leases.beat(next_heir.lease) == [gone.lease.node]
    assert await next_heir.leases.take_over(next_heir.lease, gone.lease.node) == 2
    assert [job_in(one).crashes for one in await heir.work.fetch(5)] == [1, 1]


async def test_two_heirs_at_once_move_each_job_once(cluster: Cluster) -> None:
    gone, *heirs = [await cluster.node() for _ in range(3)]
    await cluster.submit(*[job() for _ in range(50)])
    await gone.work.fetch(50)
    cluster.lapse(gone)
    takes = (heir.leases.take_over(heir.lease, gone.lease.node) for heir in heirs)
    assert sum(await asyncio.gather(*takes)) == 50
    assert [job_in(one).crashes for one in await heirs[0].work.fetch(99)] == [1] * 50


async def test_a_node_that_read_on_after_its_end_is_a_stray_and_its_jobs_come_back(cluster: Cluster) -> None:
    gone, heir = await cluster.node(), await cluster.node()
    cluster.lapse(gone)
    await heir.leases.take_over(heir.lease, gone.lease.node)
    assert await heir.leases.orphan_consumers() == []
    await cluster.submit(job(), job(queue="nobody"))
    await gone.work.fetch(1)
    assert await heir.leases.orphan_consumers() == [gone.lease.node]
    assert await heir.leases.take_over(heir.lease, gone.lease.node) == 1
    assert await heir.leases.orphan_consumers() == []
    assert len(await heir.work.fetch(5)) == 1


async def test_a_consumer_with_something_pending_stays_where_its_node_is_forgotten(cluster: Cluster) -> None:
    gone, heir = await cluster.node(), await cluster.node()
    await cluster.submit(job())
    await gone.work.fetch(1)
    cluster.raw.expire(cluster.keys.fence(gone.lease.node), 60)
    streams = cluster.keys.streams(["default"])
    keys = RETIRE.keys(cluster.keys, *streams, fence=cluster.keys.fence(heir.lease.node))
    retire = RETIRE.by_text(keys, [heir.lease.epoch, gone.lease.node])
    assert cluster.raw.execute_command(*retire) == [1]
    assert await heir.leases.orphan_consumers() == [gone.lease.node]
    assert cluster.pending() == 1
    assert await heir.leases.take_over(heir.lease, gone.lease.node) == 1
    assert await heir.leases.orphan_consumers() == []


async def test_leaving_hands_back_and_forgets_the_node_without_burning_an_attempt(cluster: Cluster) -> None:
    leaver, other = await cluster.node(), await cluster.node()
    await cluster.submit(*[job() for _ in range(3)])
    await leaver.work.fetch(3)
    await leaver.leases.leave(leaver.lease)
    found = [job_in(delivery) for delivery in await other.work.fetch(5)]
    assert [(one.attempt, one.crashes, one.fence) for one in found] == [(0, 0, 1)] * 3
    assert cluster.raw.zrange(cluster.keys.nodes, 0, -1) == [other.lease.node.encode()]
    assert cluster.raw.exists(cluster.keys.fence(leaver.lease.node)) == 0
    with pytest.raises(LeaseLost):
        leaver.leases.beat(leaver.lease)
    await leaver.leases.leave(leaver.lease)


async def _taken_over(cluster: Cluster, jobs: int) -> tuple[Node, list]:
    gone, heir = await cluster.node(), await cluster.node()
    await cluster.submit(*[job() for _ in range(jobs)])
    deliveries = await gone.work.fetch(jobs)
    await gone.work.settle([completed(deliveries.pop())])
    cluster.lapse(gone)
    await heir.leases.take_over(heir.lease, gone.lease.node)
    return gone, deliveries


WRITES = {
    "settle": lambda node, one: node.work.settle([completed(one)]),
    "requeue": lambda node, one: node.work.requeue([rewrite(one)]),
    "park": lambda node, one: node.work.park([retry(one)]),
    "bury": lambda node, one: node.work.bury([dead(one)]),
    "bury_raw": lambda node, one: node.work.bury_raw(one, "no job"),
    "promote": lambda node, _: node.work.promote(),
    "expire": lambda node, _: node.work.expire(),
    "take_over": lambda node, _: node.leases.take_over(node.lease, "somebody"),
}


@pytest.mark.parametrize("write", WRITES)
async def test_nothing_is_written_under_a_lost_lease(cluster: Cluster, write: str) -> None:
    node, deliveries = await _taken_over(cluster, 2)
    before = cluster.snapshot()
    for _ in range(2):
        with pytest.raises(LeaseLost):
            await WRITES[write](node, deliveries[0])
    assert cluster.snapshot() == before


async def test_a_full_server_does_not_let_a_lost_lease_settle(cluster: Cluster) -> None:
    node, deliveries = await _taken_over(cluster, 2)
    before = cluster.snapshot()
    settled = completed(deliveries[0])
    try:
        cluster.raw.config_set("maxmemory", 1)
        with pytest.raises(LeaseLost):
            await node.work.settle([settled])
    finally:
        cluster.raw.config_set("maxmemory", 0)
    assert cluster.snapshot() == before


async def test_a_lease_lost_while_the_connection_was_down_is_seen_when_it_comes_back(cluster: Cluster) -> None:
    node, deliveries = await _taken_over(cluster, 2)
    cluster.raw.client_kill_filter(_type="normal", skipme=True)
    with pytest.raises(LeaseLost):
        await node.work.settle([completed(deliveries[0])])


async def test_a_lease_lost_right_after_a_settlement_lets_that_one_stand(cluster: Cluster) -> None:
    """The fence moves between EXEC and the WATCH that arms the next batch."""
    node = await cluster.node()
    first, second = job(), job()
    await cluster.submit(first, second)
    deliveries = await node.work.fetch(2)
    settler = node.work._acknowledger
    settler._arm = [["SET", settler._fence, "999"], *settler._arm]
    await node.work.settle([completed(deliveries[0])])
    assert await cluster.state(first) == JobState.COMPLETED
    with pytest.raises(LeaseLost):
        await node.work.settle([completed(deliveries[1])])
    assert await cluster.state(second) == JobState.RUNNING


async def test_one_lease_has_one_work(cluster: Cluster) -> None:
    node = await cluster.node()
    assert node.store.work(node.lease) is node.work
    assert node.work is not node.store.work(await node.leases.join())
