"""Settling when the answer is lost: the batch is repeated, and nothing of it counts twice."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import ConnectionError as Disconnected

from ironforge.job.record import JobState
from ironforge.redis.connection import Connection
from tests.store.kit import Cluster, completed, job


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_settlement_whose_answer_was_lost_is_counted_once(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, arrived: bool
) -> None:
    node, jobs = await cluster.node(), [job() for _ in range(3)]
    await cluster.submit(*jobs)
    deliveries = await node.work.fetch(3)
    exchange, lose = Connection.exchange, iter([True])

    async def losing(self: Connection, commands: Any, **options: Any) -> Any:
        lost = commands[0] == ["MULTI"] and next(lose, False)
        if lost and not arrived:
            raise Disconnected("the question was lost")
        replies = await exchange(self, commands, **options)
        if lost:
            await self.drop()
            raise Disconnected("the answer was lost")
        return replies

    monkeypatch.setattr(Connection, "exchange", losing)
    await node.work.settle([completed(delivery) for delivery in deliveries])

    assert cluster.totals()["completed"] == 3
    assert cluster.pending() == 0
    assert {await cluster.state(one) for one in jobs} == {JobState.COMPLETED}


async def test_a_repeated_settlement_is_counted_also_when_its_group_was_destroyed_meanwhile(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, jobs = await cluster.node(), [job() for _ in range(3)]
    await cluster.submit(*jobs)
    deliveries = await node.work.fetch(3)
    exchange, lose = Connection.exchange, iter([True])

    async def losing(self: Connection, commands: Any, **options: Any) -> Any:
        if commands[0] == ["MULTI"] and next(lose, False):
            cluster.raw.xgroup_destroy(cluster.keys.stream("default:2"), "nodes")
            raise Disconnected("the question was lost, and the group as well")
        return await exchange(self, commands, **options)

    monkeypatch.setattr(Connection, "exchange", losing)
    await node.work.settle([completed(delivery) for delivery in deliveries])

    assert cluster.totals()["completed"] == 3
    assert {await cluster.state(one) for one in jobs} == {JobState.COMPLETED}
