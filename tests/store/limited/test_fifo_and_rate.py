"""Jobs of a fifo key that use a rate as well: who comes back has the key meanwhile, and nothing of the rate."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from ironforge.job.limits import Limit, LimitUse, Rate
from ironforge.job.record import Job
from ironforge.store import Adjustment, Delivery
from tests.store.kit import HOUR_MS, Cluster, Node, dead, ids_in, job, retry, rewrite

Leave = Callable[[Node, Delivery], Awaitable[None]]


async def declines(node: Node, delivery: Delivery) -> None:
    await node.work.decline([rewrite(delivery)])


async def fails(node: Node, delivery: Delivery) -> None:
    await node.work.park([retry(delivery, HOUR_MS)])


async def dies(node: Node, delivery: Delivery) -> None:
    await node.work.bury([dead(delivery)])


def charge(account: str) -> Job:
    return job(limits=(LimitUse("account", account), LimitUse("stripe", "all")))


@pytest.fixture
async def node(cluster: Cluster) -> Node:
    """Of a cluster with a fifo limit `account`, where also a dead job is waited for, and a rate `stripe`."""
    await cluster.store_client.limits.put("account", Limit(1, order="fifo", on_failure="park"))
    await cluster.store_client.limits.put("stripe", Limit(rate=Rate(1000, burst=100)))
    return await cluster.node()


@pytest.mark.parametrize("leave", [declines, fails, dies])
async def test_who_comes_back_keeps_its_fifo_key_and_nothing_of_the_rate(
    cluster: Cluster, node: Node, leave: Leave
) -> None:
    await cluster.submit(charge("a"), charge("a"))
    (held,) = await node.work.fetch(10)
    await leave(node, held)
    assert await node.work.fetch(10) == []
    assert (await cluster.store_client.limits.key("account", "a")).running == 1
    assert (await cluster.store_client.limits.key("stripe", "all")).running == 0


@pytest.mark.parametrize("leave", [declines, fails, dies])
async def test_a_probe_that_comes_back_later_holds_up_no_other_key(cluster: Cluster, node: Node, leave: Leave) -> None:
    first, second = charge("a"), charge("b")
    await cluster.submit(first, second)
    await node.work.adjust([Adjustment("default:2", "stripe\nall", throttled_ms=HOUR_MS)])
    assert await node.work.fetch(10) == []
    for name in (cluster.keys.stops, cluster.keys.dueroom):  # the stop is over
        cluster.raw.zadd(name, {"stripe\nall": 1}, xx=True)
    (probe,) = await node.work.fetch(10)
    await leave(node, probe)
    assert ids_in([probe, *await node.work.fetch(10)]) == [first.id, second.id]
