"""What the doctor says of schedules, and that what it advises helps."""

from __future__ import annotations

from ironforge.doctor.finding import Finding
from ironforge.doctor.schedules import schedules_of_the_namespace, schedules_that_do_not_tick
from ironforge.redis.connection import DoorConnection
from tests.store.kit import Cluster, job
from tests.store.schedules.kit import CAUGHT_UP, every, jobs, make_due, schedules, tick, ticked, ticker
from tests.store.test_kinds import announced


async def examined_together(cluster: Cluster) -> list[Finding]:
    client = cluster.store_client
    return await schedules_of_the_namespace(client.schedules, client.inspector)


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


async def test_one_that_is_to_be_looked_at_long_after_its_next_tick(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every())
    cluster.raw.zadd(cluster.keys.ticks, {"report": float("inf")})
    [found] = await examined(cluster)
    assert (found.level, found.message) == ("fail", "schedule report has lost its next tick, and does not tick")
    await tick(ticker(cluster))
    assert [found.level for found in await examined(cluster)] == ["ok"]


async def test_ticks_that_nothing_fires(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every())
    make_due(cluster, "report")
    [found] = await examined(cluster)
    assert found.level == "warn"
    assert found.message.startswith("a tick has been due for ")
    assert found.message.endswith(" s, and nothing fires it: 1 schedule overdue")
    assert found.fix == "ironforge node APP, or ironforge api, with IRONFORGE_SCHEDULER=on"
    await tick(ticker(cluster))
    assert [found.level for found in await examined(cluster)] == ["ok"]


async def test_one_of_a_newer_version(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every())
    said = cluster.raw.hget(cluster.keys.schedules, "report").replace(b'{"schedule":{', b'{"schedule":{"newer":1,')
    cluster.raw.hset(cluster.keys.schedules, "report", said)
    [found] = await examined(cluster)
    assert (found.level, found.fix) == ("fail", "upgrade, or define it anew")
    assert "cannot be read: Object contains unknown field `newer`" in found.message
    make_due(cluster, "report")
    await tick(ticker(cluster))
    assert jobs(cluster) == []
    assert len(await examined(cluster)) == 1  # said once, though it is remembered as well


async def test_one_whose_job_is_refused_until_it_is_not(cluster: Cluster) -> None:
    cluster.with_settings(max_queue_length=1)
    waits = job()
    await cluster.submit(waits)
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    await ticked(cluster, "report")
    [found] = await examined(cluster)
    assert found.level == "fail"
    assert found.message.startswith("schedule report: its job is refused: queue_full: queue default ")
    assert found.fix == "make room for its job, or change it; what it missed: ironforge schedules history report"
    await cluster.store_client.producer.cancel(waits.id)
    await ticked(cluster, "report")
    assert [found.level for found in await examined(cluster)] == ["ok"]


async def test_what_is_left_of_one_that_is_gone(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every())
    cluster.raw.delete(cluster.keys.schedules)
    cluster.raw.delete(cluster.keys.ticks)
    [found] = await examined(cluster)
    assert (found.level, found.message) == ("warn", "a next tick is left of schedule report, which is gone")
    await tick(ticker(cluster))
    assert await examined(cluster) == []


async def test_one_whose_kind_no_node_runs(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every())
    assert await examined_together(cluster) == []  # that there is no node is said elsewhere
    await cluster.node(announced("other"))
    [found] = await examined_together(cluster)
    assert (found.level, found.message) == (
        "warn",
        "schedule report submits jobs of kind k, which no running node runs",
    )
    await cluster.node(announced("k"))
    assert await examined_together(cluster) == []
