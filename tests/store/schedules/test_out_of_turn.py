"""Runs that are asked for: at once, and for ticks of the past."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ironforge.errors import InvalidJob, QueueFull
from ironforge.job.record import JobState, created_ms_of
from ironforge.job.tick import JobTick
from ironforge.store.schedules.contract import MAX_BACKFILL, Fired
from tests.store.kit import Cluster, completed, ids_in, job, now_ms
from tests.store.schedules.kit import (
    CAUGHT_UP,
    every,
    history,
    jobs,
    make_due,
    outcomes,
    request,
    schedules,
    tick,
    ticked,
    ticker,
)

FROM, TO = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 4, tzinfo=UTC)


async def test_a_tick_that_is_skipped_late_is_in_the_entry_of_a_run_out_of_turn_that_was_refused_before(
    cluster: Cluster,
) -> None:
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP, overlap="skip"))
    await schedules(cluster).trigger("report")
    at_ms = make_due(cluster, "report")
    assert await schedules(cluster).trigger("report") == Fired("skipped", "overlap")
    [refused, _] = await history(cluster, "report")
    await tick(ticker(cluster))
    [both, _] = await history(cluster, "report")
    assert refused.at_ms > at_ms
    assert both == refused._replace(at_ms=at_ms, ticks=2)


async def test_out_of_turn(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every())
    await schedules(cluster).pause("report")
    before = await schedules(cluster).get("report")
    fired = await schedules(cluster).trigger("report")
    [made] = jobs(cluster)
    assert fired == Fired("started", "trigger", made.id)
    assert made.tick == JobTick("report", created_ms_of(made.id))
    assert await schedules(cluster).trigger("report") == Fired("skipped", "overlap")
    after = await schedules(cluster).get("report")
    assert (after.next_ms, after.etag, after.last_job) == (before.next_ms, before.etag, made.id)
    assert await outcomes(cluster, "report") == [("started", "trigger", 1), ("skipped", "overlap", 1)]


async def test_a_run_out_of_turn_counts_as_the_last_one(cluster: Cluster) -> None:
    node = await cluster.node()
    await schedules(cluster).put("report", every(overlap="cancel_running", catch_up=CAUGHT_UP))
    await schedules(cluster).trigger("report")
    [run] = ids_in(await node.work.fetch(10))
    await ticked(cluster, "report")
    assert await node.work.cancel_requested([run]) == [run]
    waiting = (await schedules(cluster).get("report")).last_job or b""
    await schedules(cluster).trigger("report")
    assert (await cluster.store_client.inspector.get(waiting)).state is JobState.CANCELLED


async def test_a_run_out_of_turn_where_the_schedule_was_lost(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every())
    cluster.raw.delete(cluster.keys.upcoming)
    assert (await schedules(cluster).trigger("report")).outcome == "started"


async def test_a_backfill_starts_a_job_for_each_tick_of_the_past(cluster: Cluster) -> None:
    view = await schedules(cluster).put("report", every(job=request(expires_in_seconds=60.0), start=FROM))
    planned = await schedules(cluster).backfill("report", FROM, TO, dry_run=True)
    times = [int(datetime(2026, 1, day, tzinfo=UTC).timestamp() * 1000) for day in (1, 2, 3)]
    assert [at_ms for at_ms, _ in planned] == times
    assert jobs(cluster) == []
    filled = await schedules(cluster).backfill("report", FROM, TO, per_second=0.1)
    made = jobs(cluster)
    assert [at_ms for at_ms, _ in filled] == times
    assert {one.id for one in made} == {job_id for _, job_id in filled}
    assert [one.tick for one in made] == [JobTick("report", at_ms) for at_ms in times]
    # Their ids have the time of the request.
    assert all(abs(created_ms_of(one.id) - now_ms()) < 60_000 for one in made)
    due = sorted(score for _, score in cluster.raw.zrange(cluster.keys.scheduled, 0, -1, withscores=True))
    assert len(due) == 2
    assert abs(due[1] - due[0] - 10_000) < 2
    assert sorted(round(one.expires_ms - now_ms(), -4) for one in made) == [60_000, 70_000, 80_000]
    [past] = await history(cluster, "report")
    assert (past.at_ms, past.last_ms, past.reason, past.ticks) == (times[0], times[-1], "backfill", 3)
    assert (await schedules(cluster).get("report")).next_ms == view.next_ms


async def test_jobs_of_a_backfill_wait_for_each_other_where_runs_do(cluster: Cluster) -> None:
    node = await cluster.node()
    await schedules(cluster).put("report", every(overlap="queue_one"))
    await schedules(cluster).backfill("report", FROM, TO, per_second=1e9)
    for _ in range(3):
        cluster.ripen()
        await node.work.promote()
        [run] = await node.work.fetch(10)
        await node.work.settle([completed(run)])


async def test_a_backfill_is_accepted_as_a_whole_or_not_at_all(cluster: Cluster) -> None:
    cluster.with_settings(max_queue_length=1)
    await cluster.submit(job())
    await schedules(cluster).put("report", every())
    with pytest.raises(QueueFull):
        await schedules(cluster).backfill("report", FROM, TO)
    assert len(jobs(cluster)) == 1
    assert await history(cluster, "report") == []


async def test_a_backfill_of_too_many_is_refused(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every(60.0))
    with pytest.raises(InvalidJob, match=f"has more than {MAX_BACKFILL} ticks from 2026-01-01"):
        await schedules(cluster).backfill("report", FROM, TO)


async def test_a_backfill_of_no_tick_does_nothing(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every())
    assert await schedules(cluster).backfill("report", FROM, FROM) == []
    assert await history(cluster, "report") == []


async def test_a_run_out_of_turn_makes_no_tick_late(cluster: Cluster) -> None:
    """Whoever has been told of the next tick finds the schedule moved, and others are told of it at once."""
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP, overlap="allow"))
    at_ms = make_due(cluster, "report")
    one = ticker(cluster)
    one.wake(0)
    await one._claims.claim()
    await schedules(cluster).trigger("report")
    assert cluster.raw.zscore(cluster.keys.ticks, "report") == at_ms
    await tick(one)
    assert await outcomes(cluster, "report") == [("started", "trigger", 1), ("started", "", 1)]
