"""Each tick starts one job, whoever fires it and whatever happens meanwhile, and none before its time."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import msgspec
import pytest

from ironforge.job.record import created_ms_of, format_id, parse_id
from ironforge.job.tick import JobTick
from ironforge.store.schedules import claims
from ironforge.store.schedules.firing import tick_id
from ironforge.store.schedules.planning import plan
from tests.store.kit import Cluster, now_ms
from tests.store.schedules.kit import (
    CAUGHT_UP,
    DAY_MS,
    every,
    history,
    jobs,
    make_due,
    outcomes,
    put_back,
    request,
    schedules,
    tick,
    ticker,
)


async def test_a_tick_starts_a_job_with_the_time_of_the_tick(cluster: Cluster) -> None:
    view = await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    at_ms = make_due(cluster, "report")
    await tick(ticker(cluster))
    [job] = jobs(cluster)
    assert (job.kind, job.created_ms, job.payload) == ("k", at_ms, b"{}")
    assert job.tick == JobTick("report", at_ms)
    # A node that knows nothing of ticks leaves it to others.
    assert job.version == 2
    assert created_ms_of(job.id) == at_ms
    assert parse_id(format_id(job.id)) == job.id
    assert view.stored is not None
    assert job.id == tick_id("report", view.stored.created_ms, at_ms)
    [past] = await history(cluster, "report")
    assert (past.at_ms, past.outcome, past.reason, past.job_id) == (at_ms, "started", "", job.id)
    assert 0 <= now_ms() - at_ms - past.late_ms < 60_000
    after = await schedules(cluster).get("report")
    assert (after.next_ms, after.last_job) == (view.next_ms, job.id)
    assert cluster.totals()["ticks_started"] == 1


async def test_of_many_that_fire_the_same_tick_one_does(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP, overlap="allow"))
    make_due(cluster, "report")
    tickers = [ticker(cluster) for _ in range(5)]
    for one in tickers:  # each is told of it, as if the others had been told of it long ago
        make_due_again(cluster, "report")
        one.wake(0)
        await one._claims.claim()
    await asyncio.gather(*(one.tick() for one in tickers))
    assert len(jobs(cluster)) == 1
    assert [past.outcome for past in await history(cluster, "report")] == ["started"]


async def test_what_one_is_told_of_others_are_told_of_later(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies with what it was told of keeps nobody waiting for long."""
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    make_due(cluster, "report")
    dead, other = ticker(cluster), ticker(cluster)
    dead.wake(0)
    await dead._claims.claim()
    assert cluster.raw.zscore(cluster.keys.ticks, "report") > now_ms() + claims.AGAIN_MS / 2
    await tick(other)
    assert jobs(cluster) == []
    make_due_again(cluster, "report")
    await tick(other)
    assert len(jobs(cluster)) == 1
    # It was not dead, only slow.
    await dead.tick()
    assert len(jobs(cluster)) == 1


async def test_none_is_fired_before_its_time(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every(1.0, overlap="allow"))
    one = ticker(cluster)
    one.wake(0)
    deadline = now_ms() + 2_500
    while now_ms() < deadline:
        await asyncio.sleep(await one.tick() or 0)
    rows = [past for past in await history(cluster, "report") if past.outcome == "started"]
    assert len(rows) >= 2
    for past in rows:
        assert past.at_ms % 1000 == 0
        assert past.late_ms < 1_000


async def test_a_clock_that_seems_ahead_fires_none_early(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every())
    one = ticker(cluster)
    cluster.raw.zadd(cluster.keys.ticks, {"report": 1})
    one.wake(0)
    await one.tick()
    one._clock.note(now_ms() + 2 * DAY_MS, 0)
    await one.tick()
    assert jobs(cluster) == []
    assert await history(cluster, "report") == []


async def test_what_was_decided_by_a_clock_that_was_put_back_since_is_decided_anew(cluster: Cluster) -> None:
    """Ahead by a day for a moment it had told one process of a tick that had been missed by then."""
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    at_ms = make_due(cluster, "report")
    one = ticker(cluster)
    [held] = await one._schedules.held(["report"])
    firing = one._schedules.firing
    later = plan(held, held.read(), at_ms + 2 * DAY_MS, firing, one._claims._kinds.look_up)
    cluster.raw.zadd(cluster.keys.ticks, {"report": at_ms + 2 * DAY_MS})
    one._claims.calls.add(firing.call([later]))
    one._clock.note(at_ms + 2 * DAY_MS, time.monotonic())
    await one.tick()
    assert jobs(cluster) == []
    await tick(one)
    assert await outcomes(cluster, "report") == [("started", "", 1)]


async def test_after_the_clock_was_put_back_no_tick_comes_twice(cluster: Cluster) -> None:
    """By the clock that was ahead an hour a tick was fired that is still to come by this one."""
    await schedules(cluster).put("report", every(3600.0, overlap="allow"))
    fired = put_back(cluster, "report", -3_600_000) - 3_600_000
    cluster.raw.hset(cluster.keys.upcoming, "report", forward(cluster, "report", fired))
    await tick(ticker(cluster))
    assert jobs(cluster) == []
    # Nor does one as the schedule is changed.
    changed = await schedules(cluster).put("report", every(1800.0, overlap="allow"))
    assert changed.next_ms == fired + 1_800_000


async def test_scripts_that_the_server_has_forgotten(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    make_due(cluster, "report")
    cluster.raw.script_flush()
    await tick(ticker(cluster))
    assert len(jobs(cluster)) == 1


async def test_scripts_that_the_server_has_forgotten_while_many_are_due(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them waits for another one to be made by itself."""
    monkeypatch.setattr(claims, "AT_ONCE", 2)
    for number in range(5):
        await schedules(cluster).put(f"s{number}", every(catch_up=CAUGHT_UP))
        make_due(cluster, f"s{number}")
    one = ticker(cluster)
    for _ in range(3):
        await one._claims.claim()
    assert len(one._claims.calls) >= 3
    cluster.raw.script_flush()
    answers = await one._schedules.fire_all(one._claims.due())
    assert [became.verdict for answer in answers for became in (answer or (0, []))[1]] == ["started"] * 5
    assert len(jobs(cluster)) == 5


async def test_a_lost_answer_starts_no_second_job(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    make_due(cluster, "report")
    one = ticker(cluster)
    one.wake(0)
    await one._claims.claim()
    fire = one._schedules.firing.fire_all

    async def lost(calls):  # type: ignore[no-untyped-def]
        await fire(calls)
        raise ConnectionResetError("the answer was lost")

    with monkeypatch.context() as broken:
        broken.setattr(one._schedules.firing, "fire_all", lost)
        with pytest.raises(ConnectionResetError):
            await one.tick()
    await tick(one)
    assert len(jobs(cluster)) == 1
    assert len(await history(cluster, "report")) == 1


async def test_many_that_are_due_are_fired_together(cluster: Cluster) -> None:
    names = [f"s{number}" for number in range(claims.AT_ONCE + 10)]
    for name in names:
        await schedules(cluster).put(name, every(catch_up=CAUGHT_UP))
        make_due(cluster, name)
    await tick(ticker(cluster))
    assert len({job.id for job in jobs(cluster)}) == len(names)


async def test_where_a_schedule_is_may_be_lost(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every())
    cluster.raw.delete(cluster.keys.upcoming)
    make_due_again(cluster, "report")
    await tick(ticker(cluster))
    assert (await schedules(cluster).get("report")).next_ms is not None


async def test_what_is_left_of_a_schedule_is_forgotten(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every())
    cluster.raw.delete(cluster.keys.schedules)
    cluster.raw.zadd(cluster.keys.ticks, {"report": 1})
    await tick(ticker(cluster))
    assert cluster.raw.exists(cluster.keys.ticks, cluster.keys.upcoming) == 0


async def test_one_that_has_ended_ticks_no_more(cluster: Cluster) -> None:
    endless = await schedules(cluster).put("report", every())
    end = datetime.fromtimestamp((endless.next_ms or 0) / 1000 + 1, UTC)
    await schedules(cluster).put("report", every(end=end, catch_up=CAUGHT_UP, overlap="allow"))
    make_due(cluster, "report")
    await tick(ticker(cluster))
    make_due(cluster, "report")
    await schedules(cluster).put("report", every(end=end.replace(year=2020), catch_up=CAUGHT_UP, overlap="allow"))
    assert (await schedules(cluster).get("report")).next_ms is None
    assert cluster.raw.zscore(cluster.keys.ticks, "report") is None
    assert [past.reason for past in await history(cluster, "report")] == ["redefined", ""]


def make_due_again(cluster: Cluster, name: str) -> None:
    cluster.raw.zadd(cluster.keys.ticks, {name: 1})


def forward(cluster: Cluster, name: str, fired_ms: int) -> bytes:
    """Where it is, with a job of this time as its last one."""
    where = cluster.raw.hget(cluster.keys.upcoming, name)
    return bytes(where + tick_id(name, 0, fired_ms))


async def test_large_jobs_are_fired_in_several_calls(cluster: Cluster) -> None:
    large = msgspec.structs.replace(request(), payload=msgspec.Raw(b'"%s"' % (b"x" * 900_000)))
    names = [f"s{number}" for number in range(12)]
    for name in names:
        await schedules(cluster).put(name, every(catch_up=CAUGHT_UP, job=large))
        make_due(cluster, name)
    one = ticker(cluster)
    one.wake(0)
    await one._claims.claim()
    assert len(one._claims.held) == 5
    await tick(one)
    assert len(jobs(cluster)) == len(names)
