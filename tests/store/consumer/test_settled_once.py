"""A job is counted as ended once, whoever repeats its settlement, and whenever that arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from redis.exceptions import ConnectionError as Disconnected

from ironforge.errors import LeaseLost
from ironforge.job.limits import PREEMPTED, Limit
from ironforge.job.record import Job, JobState
from ironforge.redis.connection import Connection, packed
from ironforge.redis.scripts import REQUEUE, Script
from ironforge.store import Delivery
from tests.store.kit import Cluster, Node, completed, job, limited, rewrite, settle


class Stuck:
    """The next MULTI stays on its way, on a connection that its client gave up; `arrive` brings it to the server."""

    def __init__(self) -> None:
        self._link: Connection | None = None
        self._connection: Any = None
        self._packed: list[bytes] = []
        self._exchange = Connection.exchange

    async def exchange(self, link: Connection, commands: Any, **options: Any) -> Any:
        if commands[0] != ["MULTI"] or self._link:
            return await self._exchange(link, commands, **options)
        self._link, self._connection = link, await link._ready()
        self._packed = [packed(command) for command in commands]
        link._connection = None
        raise Disconnected("no answer")

    async def given_up(self) -> None:
        while not self._link:
            await asyncio.sleep(0)

    async def arrive(self) -> None:
        assert self._link
        await self._link._swap(self._connection, self._packed)

    async def close(self) -> None:
        if self._connection:
            await self._connection.disconnect(nowait=True)


@pytest.fixture
async def stuck(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stuck]:
    stuck = Stuck()

    async def exchange(link: Connection, commands: Any, **options: Any) -> Any:
        return await stuck.exchange(link, commands, **options)

    monkeypatch.setattr(Connection, "exchange", exchange)
    yield stuck
    await stuck.close()


async def held(cluster: Cluster, count: int = 3) -> tuple[Node, list[Job], list[Delivery]]:
    node, jobs = await cluster.node(), [job() for _ in range(count)]
    await cluster.submit(*jobs)
    return node, jobs, await node.work.fetch(count)


async def test_a_settlement_that_arrives_after_its_repetition_changes_nothing(cluster: Cluster, stuck: Stuck) -> None:
    node, _, deliveries = await held(cluster)
    await settle(node, deliveries)
    before = cluster.snapshot()

    await stuck.arrive()

    assert cluster.totals()["completed"] == 3
    assert cluster.snapshot() == before


async def test_a_settlement_that_arrives_after_its_node_gave_back_what_it_held_changes_nothing(
    cluster: Cluster, stuck: Stuck
) -> None:
    node, jobs, deliveries = await held(cluster)
    settling = asyncio.create_task(settle(node, deliveries))
    await stuck.given_up()
    settling.cancel()
    leaving = asyncio.create_task(node.leases.leave(node.lease))
    while cluster.pending():
        await asyncio.sleep(0)

    await stuck.arrive()
    await leaving

    assert "completed" not in cluster.totals()
    assert {await cluster.state(one) for one in jobs} == {JobState.QUEUED}


async def test_a_connection_of_the_same_lease_that_opens_between_does_not_lose_a_settlement(cluster: Cluster) -> None:
    """It is seen from the fence, which is still there, that the lease was not lost."""
    node, jobs, deliveries = await held(cluster)
    await settle(node, deliveries[:1])
    other = type(node.work._acknowledger)(cluster.settings, cluster.keys, node.lease)
    await other._connection.pipeline([])

    await settle(node, deliveries[1:])
    await other.close()

    assert cluster.totals()["completed"] == 3
    assert {await cluster.state(one) for one in jobs} == {JobState.COMPLETED}


async def test_of_a_batch_that_is_repeated_only_what_is_left_is_counted(cluster: Cluster, stuck: Stuck) -> None:
    node, jobs, deliveries = await held(cluster)
    await node.work._acknowledger.settle_once([completed(deliveries[0])])

    await settle(node, deliveries)

    assert cluster.totals()["completed"] == 3
    assert {await cluster.state(one) for one in jobs} == {JobState.COMPLETED}


async def test_a_job_that_went_somewhere_else_is_not_ended_by_a_repetition(cluster: Cluster, stuck: Stuck) -> None:
    node, jobs, deliveries = await held(cluster)
    await node.work.requeue([rewrite(deliveries[0])])

    await settle(node, deliveries)

    assert cluster.totals()["completed"] == 2
    assert [await cluster.state(one) for one in jobs] == [JobState.QUEUED, JobState.COMPLETED, JobState.COMPLETED]


async def test_two_that_take_over_a_node_at_the_same_time_end_a_job_that_was_told_to_stop_once(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each finds it told to stop before the other one has ended it."""
    await cluster.store_client.limits.put("one", Limit(concurrency=1, when_full="cancel_oldest"))
    gone, first, second = await cluster.node(), await cluster.node(), await cluster.node()
    old, new = limited(2)
    await cluster.submit(old)
    assert len(await gone.work.fetch(1)) == 1
    await cluster.submit(new)
    await gone.work.fetch(1)
    assert await gone.work.cancel_requested([old.id]) == [old.id]
    cluster.lapse(gone)
    run, go_on, waits = Connection.run, asyncio.Event(), iter([True])

    async def held_up(link: Connection, script: Script, keys: Sequence[str], arguments: Any) -> Any:
        reply = await run(link, script, keys, arguments)
        if script is REQUEUE and next(waits, False):
            await second.leases.take_over(second.lease, gone.lease.node)
            go_on.set()
        return reply

    monkeypatch.setattr(Connection, "run", held_up)
    await first.leases.take_over(first.lease, gone.lease.node)

    assert go_on.is_set()
    assert cluster.totals()["cancelled"] == 1
    view = await cluster.store_client.inspector.get(old.id)
    assert (view.state, view.job.reason) == (JobState.CANCELLED, PREEMPTED)


async def test_a_lost_lease_is_still_seen_by_a_settlement_that_is_repeated(cluster: Cluster, stuck: Stuck) -> None:
    gone, heir = await cluster.node(), await cluster.node()
    await cluster.submit(job())
    deliveries = await gone.work.fetch(1)
    cluster.lapse(gone)
    settling = asyncio.create_task(settle(gone, deliveries))
    await stuck.given_up()
    await heir.leases.take_over(heir.lease, gone.lease.node)

    with pytest.raises(LeaseLost):
        await settling
    await stuck.arrive()

    assert "completed" not in cluster.totals()
    assert completed(deliveries[0])[2] in cluster.entries()
