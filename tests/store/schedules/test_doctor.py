"""What the doctor says of schedules, and that what it advises helps."""

from __future__ import annotations

from ironforge.doctor.finding import Finding
from ironforge.doctor.schedules import schedules_that_do_not_tick
from ironforge.redis.connection import DoorConnection
from tests.store.kit import Cluster
from tests.store.schedules.kit import CAUGHT_UP, every, jobs, make_due, schedules, tick, ticker


async def examined(cluster: Cluster) -> list[Finding]:
    async with DoorConnection(cluster.url, cluster.keys.prefix) as link:
        return await schedules_that_do_not_tick(link, cluster.keys)


async def test_where_all_is_well(cluster: Cluster) -> None:
    assert await examined(cluster) == []
    await schedules(cluster).put("report", every())
    [found] = await examined(cluster)
    assert (found.level, found.message) == ("ok", "1 schedule looked at, and all of them tick")


async def test_one_that_cannot_be_read(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every())
    cluster.raw.hset(cluster.keys.schedules, "report", b"{}")
    [found] = await examined(cluster)
    assert found.level == "fail"
    assert found.message.startswith("schedule report: what is stored of it cannot be read: ")
    await schedules(cluster).put("report", every())
    assert [found.level for found in await examined(cluster)] == ["ok"]


async def test_one_that_has_lost_its_next_tick(cluster: Cluster) -> None:
    for key in (cluster.keys.ticks, cluster.keys.upcoming):
        await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
        cluster.raw.delete(key)
        [found] = await examined(cluster)
        assert (found.level, found.message) == ("fail", "schedule report has lost its next tick, and does not tick")
        await schedules(cluster).pause("report")
        await schedules(cluster).resume("report")
        assert [found.level for found in await examined(cluster)] == ["ok"]
    make_due(cluster, "report")
    await tick(ticker(cluster))
    assert len(jobs(cluster)) == 1


async def test_ticks_that_nothing_fires(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every())
    make_due(cluster, "report")
    [found] = await examined(cluster)
    assert found.level == "warn"
    assert found.message.startswith("a tick has been due for ")
    assert found.fix == "ironforge node APP, or ironforge api, with IRONFORGE_SCHEDULER=on"
    await tick(ticker(cluster))
    assert [found.level for found in await examined(cluster)] == ["ok"]
