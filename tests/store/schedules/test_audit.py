"""What was lost of a schedule is found by those that tick, within a time that does not depend on its next tick."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest

from ironforge.redis.scripts import AUDIT_SCHEDULES
from ironforge.store.schedules import claims
from ironforge.store.schedules.ticker import Ticker
from tests.store.kit import Cluster, now_ms
from tests.store.schedules.kit import CAUGHT_UP, DAY_MS, every, jobs, make_due, schedules, tick, ticker


async def test_one_that_nothing_would_look_at_is_looked_at(cluster: Cluster) -> None:
    for name in ("lost", "well"):
        await schedules(cluster).put(name, every())
    before = await schedules(cluster).get("lost")
    looks = cluster.raw.zscore(cluster.keys.ticks, "well")
    cluster.raw.zrem(cluster.keys.ticks, "lost")
    await tick(ticker(cluster))
    assert cluster.raw.zscore(cluster.keys.ticks, "lost") is not None
    assert cluster.raw.zscore(cluster.keys.ticks, "well") == looks
    assert await schedules(cluster).get("lost") == before
    assert jobs(cluster) == []


@pytest.mark.parametrize("look", [float("inf"), 9e15])
async def test_one_that_would_be_looked_at_too_late_is_looked_at_for_its_next_tick(
    cluster: Cluster, look: float
) -> None:
    before = await schedules(cluster).put("report", every())
    cluster.raw.zadd(cluster.keys.ticks, {"report": look})
    await tick(ticker(cluster))
    assert cluster.raw.zscore(cluster.keys.ticks, "report") == before.next_ms


@pytest.mark.parametrize("where", [None, b"nonsense"])
async def test_one_that_has_lost_where_it_is_goes_on_from_now(cluster: Cluster, where: bytes | None) -> None:
    before = await schedules(cluster).put("report", every())
    cluster.raw.delete(cluster.keys.upcoming)
    if where is not None:
        cluster.raw.hset(cluster.keys.upcoming, "report", where)
    await tick(ticker(cluster))
    assert (await schedules(cluster).get("report")).next_ms == before.next_ms


async def test_one_that_ticks_no_more_is_left_alone(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every(end=datetime(2020, 1, 1, tzinfo=UTC)))
    await tick(ticker(cluster))
    assert cluster.raw.exists(cluster.keys.ticks) == 0


async def test_what_is_left_of_one_that_is_gone_goes(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every())
    cluster.raw.delete(cluster.keys.schedules, cluster.keys.ticks)
    await tick(ticker(cluster))
    assert cluster.raw.exists(cluster.keys.upcoming) == 0


async def test_what_is_left_of_one_that_is_gone_does_not_keep_it_from_being_made_anew(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every())
    cluster.raw.delete(cluster.keys.schedules)
    assert (await schedules(cluster).put("report", every())).next_ms is not None


async def test_where_all_are_lost_nodes_learn_of_it_as_they_look_for_due_jobs(cluster: Cluster) -> None:
    node = await cluster.node()
    await schedules(cluster).put("report", every())
    cluster.raw.delete(cluster.keys.ticks)
    await node.work.promote()
    [one] = node.store.tickers
    await one.tick()
    assert cluster.raw.exists(cluster.keys.ticks) == 1


async def test_all_are_looked_after_page_by_page(cluster: Cluster) -> None:
    names = [f"s{number}" for number in range(1_000)]  # more than a server keeps in one piece
    said = cluster.raw
    await schedules(cluster).put("report", every())
    text, where = said.hget(cluster.keys.schedules, "report"), said.hget(cluster.keys.upcoming, "report")
    said.hset(cluster.keys.schedules, mapping=dict.fromkeys(names, text))
    said.hset(cluster.keys.upcoming, mapping=dict.fromkeys(names, where))
    one, cursor, pages, mended = ticker(cluster), b"0:0", 0, 0
    while pages == 0 or not cursor.startswith(b"0:"):
        keys = AUDIT_SCHEDULES.keys(cluster.keys)
        cursor, found = await one._connection.run(AUDIT_SCHEDULES, keys, [cursor, 100, claims.AGAIN_MS])
        pages, mended = pages + 1, mended + found
    assert mended == len(names)
    assert 5 <= pages <= 50


async def test_a_process_that_waits_for_a_tick_far_away_looks_now_and_then(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every())
    one = ticker(cluster)
    one.wake(0)
    seconds = await one.tick()
    assert seconds is not None
    assert claims.AUDIT_SECONDS - 5 < seconds <= claims.AUDIT_SECONDS
    assert one._claims._audit_at > time.monotonic()


async def test_all_are_looked_after_as_soon_as_the_clock_was_put_back(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that was ahead a process was told of their ticks, and has died."""
    monkeypatch.setattr(claims, "AUDITED", 10)
    monkeypatch.setattr(claims, "ROUND_SECONDS", 0.01)
    names = [f"s{number:03}" for number in range(60)]
    for name in names:
        await schedules(cluster).put(name, every(catch_up=CAUGHT_UP))
    one = ticker(cluster)
    one.wake(0)
    await until_round_is_over(one)
    for name in names:
        make_due(cluster, name)
        cluster.raw.zadd(cluster.keys.ticks, {name: now_ms() + 7 * DAY_MS})
    one._clock.note(now_ms() + DAY_MS, time.monotonic())
    one.wake(0)
    await until_round_is_over(one)
    assert len(jobs(cluster)) == len(names)


async def until_round_is_over(one: Ticker) -> None:
    """Until there is nothing to do for a second."""
    while (seconds := await one.tick()) is None or seconds < 1:
        await asyncio.sleep(seconds or 0)
