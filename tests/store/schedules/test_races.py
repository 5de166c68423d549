"""Schedules that others change meanwhile, outages, and what stands where nothing of ours would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from ironforge.errors import StoreUnavailable
from ironforge.process.background import in_background
from ironforge.schedules.errors import ScheduleConflict
from ironforge.store.schedules.schedules import RedisSchedules
from ironforge.store.schedules.shard import ScheduleShard
from tests.store.kit import Cluster
from tests.store.schedules.kit import CAUGHT_UP, every, history, jobs, make_due, schedules, tick, ticker
from tests.support.waiting import until


async def test_many_that_change_one_at_once(cluster: Cluster) -> None:
    doors = [cluster.open_doors().schedules for _ in range(8)]
    await asyncio.gather(*(door.put("report", every(60.0 + number)) for number, door in enumerate(doors)))
    await asyncio.gather(*(door.pause("report", str(number)) for number, door in enumerate(doors)))
    view = await schedules(cluster).get("report")
    assert view.stored is not None
    assert view.stored.pause is not None
    fired = await asyncio.gather(*(door.trigger("report") for door in doors))
    assert [one.outcome for one in fired].count("started") == 1
    assert len(jobs(cluster)) == 1


CHANGES: list[Callable[[RedisSchedules], object]] = [
    lambda door: door.put("report", every(60.0)),
    lambda door: door.pause("report"),
    lambda door: door.delete("report"),
]


@pytest.mark.parametrize("change", CHANGES)
async def test_one_that_is_changed_over_and_over(
    cluster: Cluster, change: Callable[[RedisSchedules], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        return None

    await schedules(cluster).put("report", every())
    monkeypatch.setattr(ScheduleShard, "write", never)
    monkeypatch.setattr(ScheduleShard, "delete", never)
    with pytest.raises(ScheduleConflict, match="was changed 20 times while it was to be: try again"):
        await change(schedules(cluster))  # type: ignore[arg-type, misc]


async def test_an_outage_puts_ticks_off(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    make_due(cluster, "report")
    one, failed = ticker(cluster), []
    fire = one._schedules.firing.fire

    async def away(shots: object) -> None:
        failed.append(shots)
        raise StoreUnavailable("the server is away")

    monkeypatch.setattr(one._schedules.firing, "fire", away)
    async with in_background(one.tick_forever(), "ticks"):
        one.wake(0)
        await until(lambda: len(failed) >= 2, "it to try again")
        monkeypatch.setattr(one._schedules.firing, "fire", fire)
        await until(lambda: jobs(cluster), "its job")
    assert len(await history(cluster, "report")) == 1


async def test_one_without_a_next_tick_is_looked_at_no_more(cluster: Cluster) -> None:
    view = await schedules(cluster).put("report", every())
    cluster.raw.hset(cluster.keys.upcoming, "report", f"{view.etag}:::")
    cluster.raw.zadd(cluster.keys.ticks, {"report": 1})
    await tick(ticker(cluster))
    assert cluster.raw.exists(cluster.keys.ticks) == 0
    assert jobs(cluster) == []


async def test_rows_of_a_history_that_are_none_are_passed_over(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every())
    cluster.raw.rpush(cluster.keys.history("report"), "somebody's", "+1:2", "-1:2:2:paused")
    assert [(past.at_ms, past.last_ms, past.ticks) for past in await history(cluster, "report")] == [(1, 2, 2)]
