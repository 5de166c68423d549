"""Schedules that others change meanwhile, outages, and what stands where nothing of ours would."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from ironforge.errors import StoreUnavailable
from ironforge.process.background import in_background
from ironforge.redis.connection import Connection
from ironforge.redis.scripts import PUT_SCHEDULE, Script
from ironforge.schedules.errors import ScheduleConflict
from ironforge.store.consumer.notifications import RedisNotifications
from ironforge.store.schedules.schedules import RedisSchedules
from ironforge.store.schedules.shard import ScheduleShard
from tests.store.kit import Cluster, ids_in
from tests.store.schedules.kit import (
    CAUGHT_UP,
    DAY_MS,
    every,
    history,
    jobs,
    make_due,
    now_ms,
    outcomes,
    put_back,
    schedules,
    tick,
    ticker,
)
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


async def test_a_tick_that_fires_before_a_resumption_arrives_is_skipped(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link was held up, and the pause went on until then."""
    door, run, passed = schedules(cluster), Connection.run, []
    view = await door.put("report", every(catch_up=CAUGHT_UP))
    assert view.next_ms is not None
    fires_ms = put_back(cluster, "report", view.next_ms - now_ms() - 200)
    await door.pause("report")

    async def held_up(link: Connection, script: Script, *words: Any) -> Any:
        if script is PUT_SCHEDULE and not passed:
            await until(lambda: now_ms() > fires_ms, "the tick")
            passed.append(fires_ms)
        return await run(link, script, *words)

    monkeypatch.setattr(Connection, "run", held_up)
    await door.resume("report")
    await tick(ticker(cluster))

    assert passed == [fires_ms]
    assert await outcomes(cluster, "report") == [("skipped", "paused", 1)]
    assert jobs(cluster) == []


@pytest.mark.parametrize("change", CHANGES[1:])
async def test_a_tick_that_was_prepared_cancels_no_run_of_a_schedule_that_was_changed_since(
    cluster: Cluster, change: Callable[[RedisSchedules], Any]
) -> None:
    """What was to take the place of the run does not start."""
    node, door, one = await cluster.node(), schedules(cluster), ticker(cluster)
    view = await door.put("report", every(catch_up=CAUGHT_UP, overlap="cancel_running"))
    run = (await door.trigger("report")).job_id
    held = await node.work.fetch(10)
    assert view.next_ms is not None
    fires_ms = put_back(cluster, "report", view.next_ms - now_ms() - 500)
    one.wake(0)
    await one.tick()
    assert len(one._claims.held) == 1

    await change(door)
    await until(lambda: now_ms() > fires_ms, "the tick")
    await one.tick()

    assert ids_in(held) == [run]
    assert await node.work.cancel_requested([run]) == []


async def test_an_outage_puts_ticks_off(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    make_due(cluster, "report")
    one, failed = ticker(cluster), []
    fire = one._schedules.firing.fire_all

    async def away(calls: object) -> None:
        failed.append(calls)
        raise StoreUnavailable("the server is away")

    monkeypatch.setattr(one._schedules.firing, "fire_all", away)
    async with in_background(one.tick_forever(), "ticks"):
        one.wake(0)
        await until(lambda: len(failed) >= 2, "it to try again")
        monkeypatch.setattr(one._schedules.firing, "fire_all", fire)
        await until(lambda: jobs(cluster), "its job")
    assert len(await history(cluster, "report")) == 1


async def test_one_that_stops_gives_back_what_it_was_told_of(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    at_ms = put_back(cluster, "report", -DAY_MS)
    signals = RedisNotifications(cluster.settings, cluster.keys)
    heard = signals.listen()
    assert (await anext(heard)).name == "connected"
    async with told_of(cluster, "report"):
        cluster.raw.zadd(cluster.keys.ticks, {"report": at_ms + 5_000})
    assert cluster.raw.zscore(cluster.keys.ticks, "report") == at_ms
    assert (await anext(heard)).due_ms == 0
    await signals.close()


async def test_one_that_stops_late_puts_off_none(cluster: Cluster) -> None:
    """The schedule is looked at sooner by now."""
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    put_back(cluster, "report", -DAY_MS)
    async with told_of(cluster, "report"):
        cluster.raw.zadd(cluster.keys.ticks, {"report": 1})
    assert cluster.raw.zscore(cluster.keys.ticks, "report") == 1


async def test_one_that_stops_while_the_server_is_away_keeps_no_one_waiting(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    put_back(cluster, "report", -DAY_MS)
    asked: list[object] = []

    async def away(_schedules: ScheduleShard, advances: object) -> None:
        asked.append(advances)
        raise StoreUnavailable("the server is away")

    monkeypatch.setattr(ScheduleShard, "give_back", away)
    async with told_of(cluster, "report"):
        pass
    assert len(asked) == 1


@contextlib.asynccontextmanager
async def told_of(cluster: Cluster, name: str) -> AsyncIterator[None]:
    """While the block runs a ticker is to fire a tick of this schedule that is far off, and counts as soon."""
    cluster.raw.zadd(cluster.keys.ticks, {name: 1})
    one = ticker(cluster)
    with pytest.MonkeyPatch.context() as here:
        here.setattr("ironforge.store.schedules.claims.AHEAD_MS", 2 * DAY_MS)
        async with in_background(one.tick_forever(), "ticks"):
            one.wake(0)
            await until(lambda: one._claims.held, "it to be told of the tick")
            yield


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
