"""What fires ticks learns of schedules along with what falls due: where there are none nothing asks for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ironforge.redis.connection import DoorConnection
from ironforge.store import NodeStore
from ironforge.store.consumer.notifications import RedisNotifications
from ironforge.store.expiry import ExpirySweep
from ironforge.store.schedules.claims import AHEAD_MS
from tests.store.kit import Cluster
from tests.store.schedules.kit import CAUGHT_UP, every, jobs, make_due, schedules, ticker


async def test_where_there_are_no_schedules_no_command_asks_for_them(cluster: Cluster) -> None:
    node = await cluster.node()
    await node.work.promote()
    [one] = node.store.tickers
    assert await one.tick() is None
    assert not one._connection.connected


async def test_a_node_learns_of_a_schedule_as_it_looks_for_due_jobs(cluster: Cluster) -> None:
    node = await cluster.node()
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    make_due(cluster, "report")
    await node.work.promote()
    [one] = node.store.tickers
    await one.tick()
    assert len(jobs(cluster)) == 1


async def test_a_door_learns_of_it_as_it_looks_for_expired_jobs(cluster: Cluster) -> None:
    told: list[int] = []
    async with DoorConnection(cluster.url, cluster.keys.prefix) as link:
        sweep = ExpirySweep(cluster.settings, cluster.keys, link, on_schedules=told.append)
        await sweep.sweep()
        assert told == []
        await schedules(cluster).put("report", every())
        await sweep.sweep()
    assert len(told) == 1
    assert 0 <= told[0] <= 86_400_000


async def test_nodes_are_told_of_a_schedule_that_ticks_before_all_others(cluster: Cluster) -> None:
    signals = RedisNotifications(cluster.settings, cluster.keys)
    heard = signals.listen()
    assert (await anext(heard)).name == "connected"
    await schedules(cluster).put("daily", every())
    await schedules(cluster).put("soon", every(60.0))
    first, second = await anext(heard), await anext(heard)
    assert (first.name, second.name) == ("due", "due")
    assert second.due_ms <= 60_000
    await signals.close()


async def test_one_is_idle_until_shortly_before_the_next_tick(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every(start=datetime.now(UTC) + timedelta(seconds=40)))
    one = ticker(cluster)
    one.wake(0)
    seconds = await one.tick()
    left = cluster.raw.zscore(cluster.keys.ticks, "report") / 1000 - cluster.raw.time()[0]
    assert seconds is not None
    assert abs(left - AHEAD_MS / 1000 - seconds) < 5


async def test_a_process_may_leave_ticks_to_others(cluster: Cluster) -> None:
    cluster.with_settings(scheduler="off")
    store = NodeStore(cluster.settings)
    assert store.tickers == []
    await store.close()


@pytest.mark.parametrize("scheduler", ["on", "off"])
async def test_doors_fire_ticks_where_no_node_is_up(cluster: Cluster, scheduler: str) -> None:
    from tests.support.waiting import until

    cluster.with_settings(scheduler=scheduler)
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    make_due(cluster, "report")
    async with cluster.store_client.keeping_time():
        if scheduler == "on":
            await until(lambda: len(jobs(cluster)) == 1, "its job")
    assert len(jobs(cluster)) == int(scheduler == "on")
