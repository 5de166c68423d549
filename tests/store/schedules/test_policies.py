"""What becomes of ticks while the last run goes on, of those that came too late, and of those whose job is refused."""

from __future__ import annotations

import pytest

from ironforge.job.limits import RUNS, LimitUse
from ironforge.job.record import JobState
from ironforge.schedules.definition import CatchUp
from ironforge.store.schedules.planning import plan
from ironforge.store.schedules.ticking import MOST_COUNTED
from tests.store.kit import Cluster, completed, dead, ids_in, now_ms
from tests.store.schedules.kit import (
    CAUGHT_UP,
    DAY_MS,
    Watch,
    every,
    history,
    jobs,
    make_due,
    outcomes,
    put_back,
    request,
    schedules,
    tick,
    ticked,
    ticker,
)

# --------------------------------------------------------------------------- the last run has not ended


async def test_a_run_that_goes_on_has_ticks_skipped(cluster: Cluster) -> None:
    node = await cluster.node()
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    await ticked(cluster, "report")
    await ticked(cluster, "report")
    await ticked(cluster, "report")
    assert await outcomes(cluster, "report") == [("started", "", 1), ("skipped", "overlap", 2)]
    [run] = await node.work.fetch(10)
    await ticked(cluster, "report")
    await node.work.settle([completed(run)])
    await ticked(cluster, "report")
    assert await outcomes(cluster, "report") == [("started", "", 1), ("skipped", "overlap", 3), ("started", "", 1)]


async def test_a_run_that_is_dead_has_ended(cluster: Cluster) -> None:
    node = await cluster.node()
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    await ticked(cluster, "report")
    [run] = await node.work.fetch(10)
    await node.work.bury([dead(run)])
    await ticked(cluster, "report")
    assert await outcomes(cluster, "report") == [("started", "", 1), ("started", "", 1)]


async def test_runs_side_by_side(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP, overlap="allow"))
    await ticked(cluster, "report")
    await ticked(cluster, "report")
    assert len(jobs(cluster)) == 2


async def test_a_new_run_cancels_the_last_one(cluster: Cluster) -> None:
    node = await cluster.node()
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP, overlap="cancel_running"))
    await ticked(cluster, "report")
    [run] = ids_in(await node.work.fetch(10))
    await ticked(cluster, "report")
    assert await node.work.cancel_requested([run]) == [run]
    waiting = (await schedules(cluster).get("report")).last_job
    assert waiting not in {run, None}
    await ticked(cluster, "report")
    assert (await cluster.store_client.inspector.get(waiting or b"")).state is JobState.CANCELLED
    assert len(await outcomes(cluster, "report")) == 3


async def test_where_the_last_run_was_cancelled_by_one_that_died_the_next_one_starts(cluster: Cluster) -> None:
    node = await cluster.node()
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP, overlap="cancel_running"))
    await ticked(cluster, "report")
    [run] = ids_in(await node.work.fetch(10))
    make_due(cluster, "report")
    dead = ticker(cluster)
    dead.wake(0)
    await dead._claims.claim()
    [call] = dead._claims.calls
    await dead._schedules._cancel(call.advances)
    assert await node.work.cancel_requested([run]) == [run]
    cluster.raw.zadd(cluster.keys.ticks, {"report": 1})  # as some seconds later
    await tick(ticker(cluster))
    assert await outcomes(cluster, "report") == [("started", "", 1)] * 2


@pytest.mark.parametrize(("overlap", "most"), [("queue_one", 1), ("queue_all", 100)])
async def test_runs_that_wait_for_each_other(cluster: Cluster, overlap: str, most: int) -> None:
    node = await cluster.node()
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP, overlap=overlap))
    await ticked(cluster, "report")
    [first] = await node.work.fetch(10)
    for _ in range(most + 2):
        await ticked(cluster, "report")
    assert await outcomes(cluster, "report") == [
        *[("started", "", 1)] * (min(most, 98) + 1),
        ("skipped", "overlap", 2),
    ]
    assert await node.work.fetch(10) == []
    await node.work.settle([completed(first)])
    [second] = await node.work.fetch(10)
    await node.work.settle([completed(second)])
    for _ in range(most - 1):
        [run] = await node.work.fetch(10)
        await node.work.settle([completed(run)])
    assert await node.work.fetch(10) == []
    await ticked(cluster, "report")
    assert len(await node.work.fetch(10)) == 1


async def test_runs_of_different_schedules_do_not_wait_for_each_other(cluster: Cluster) -> None:
    node = await cluster.node()
    for name in ("one", "two"):
        await schedules(cluster).put(name, every(catch_up=CAUGHT_UP, overlap="queue_one"))
        await ticked(cluster, name)
    runs = jobs(cluster)
    assert {run.limits for run in runs} == {(LimitUse(RUNS, "one"),), (LimitUse(RUNS, "two"),)}
    assert len(await node.work.fetch(10)) == 2


# --------------------------------------------------------------------------- ticks that came too late


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        (CatchUp(window_seconds=600_000), [("skipped", "missed", 4), ("started", "", 1)]),
        (CatchUp(), [("skipped", "missed", 5)]),
        (CatchUp("none", 600_000), [("skipped", "missed", 5)]),
        (CatchUp("all", 600_000), [("started", "", 1)] * 5),
        (CatchUp("all", 600_000, 2), [("skipped", "missed", 3), ("started", "", 1), ("started", "", 1)]),
        (CatchUp("all", 3 * 86_400), [("skipped", "missed", 2), *[("started", "", 1)] * 3]),
    ],
)
async def test_after_an_outage(cluster: Cluster, catch_up: CatchUp, expected: list[tuple[str, str, int]]) -> None:
    await schedules(cluster).put("report", every(catch_up=catch_up, overlap="allow"))
    await ticked(cluster, "report", 5)
    assert await outcomes(cluster, "report") == expected
    assert [job.created_ms for job in jobs(cluster)] == sorted(job.created_ms for job in jobs(cluster))


async def test_many_that_were_missed_are_seen_to_step_by_step(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every(1.0, catch_up=CAUGHT_UP))
    await schedules(cluster).pause("report")
    first = put_back(cluster, "report", 5_000_000)
    await tick(ticker(cluster))
    [past] = await history(cluster, "report")
    assert (past.at_ms, past.outcome, past.reason) == (first, "skipped", "paused")
    assert past.ticks == (past.last_ms - first) // 1000 + 1
    assert past.ticks >= 5_000


async def test_what_was_prepared_before_an_outage_is_decided_anew_after_it(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP, overlap="allow"))
    at_ms = make_due(cluster, "report", 3)
    one = ticker(cluster)
    [held] = await one._schedules.held(["report"])
    in_time = plan(held, held.read(), at_ms, one._schedules.firing, one._claims._kinds.look_up)
    _, [hit] = await one._schedules.fire([in_time])
    assert hit.verdict == "moved"
    await tick(one)
    assert await outcomes(cluster, "report") == [("skipped", "missed", 2), ("started", "", 1)]


async def test_very_many_that_a_change_passes_over_are_one_entry(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every(1.0))
    first = put_back(cluster, "report", 15_000_000)
    view = await schedules(cluster).put("report", every(2.0))
    [past] = await history(cluster, "report")
    assert (past.at_ms, past.reason, past.ticks) == (first, "redefined", MOST_COUNTED)
    assert view.next_ms is not None
    assert view.next_ms - 2_001 <= past.last_ms < view.next_ms


# --------------------------------------------------------------------------- pauses


async def test_ticks_of_a_paused_schedule_are_skipped(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    view = await schedules(cluster).pause("report", "the target is down", by="ada")
    assert view.stored is not None
    assert view.stored.pause is not None
    assert (view.stored.pause.note, view.stored.pause.by, view.stored.pause.until_ms) == (
        "the target is down",
        "ada",
        0,
    )
    await ticked(cluster, "report")
    await ticked(cluster, "report")
    assert jobs(cluster) == []
    assert await outcomes(cluster, "report") == [("skipped", "paused", 2)]
    resumed = await schedules(cluster).resume("report")
    assert resumed.stored is not None
    assert resumed.stored.pause is None
    await ticked(cluster, "report")
    assert await outcomes(cluster, "report") == [("skipped", "paused", 2), ("started", "", 1)]


async def test_a_pause_ends_by_itself(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP, overlap="allow"))
    at_ms = make_due(cluster, "report", 3)
    await schedules(cluster).pause("report", until_ms=at_ms + DAY_MS + 1)
    await tick(ticker(cluster))
    assert await outcomes(cluster, "report") == [("skipped", "paused", 2), ("started", "", 1)]


async def test_what_was_due_while_it_was_paused_and_nothing_ran_is_skipped(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    await schedules(cluster).pause("report")
    make_due(cluster, "report", 3)
    await schedules(cluster).resume("report")
    await tick(ticker(cluster))
    assert await outcomes(cluster, "report") == [("skipped", "paused", 3)]


async def test_a_pause_outlives_a_new_definition(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every())
    await schedules(cluster).pause("report")
    view = await schedules(cluster).put("report", every(3600.0))
    assert view.stored is not None
    assert view.stored.pause is not None


async def test_a_new_definition_holds_at_once(cluster: Cluster) -> None:
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    one = ticker(cluster)
    make_due(cluster, "report")
    one.wake(0)
    await one._claims.claim()
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP, job=request("other")))
    await tick(one)
    await tick(ticker(cluster))
    assert [job.kind for job in jobs(cluster)] == ["other"]
    # The same ticks: what was due is not skipped.
    assert await outcomes(cluster, "report") == [("started", "", 1)]


async def test_what_is_told_of_ticks(cluster: Cluster) -> None:
    one, watch = ticker(cluster), Watch()
    one._watch = watch
    await schedules(cluster).put("report", every(catch_up=CAUGHT_UP))
    at_ms = make_due(cluster, "report", 3)
    await tick(one)
    make_due(cluster, "report")
    await tick(one)
    assert watch.skipped == [("missed", 2), ("overlap", 1)]
    assert len(watch.late_seconds) == 1
    assert 0 < watch.late_seconds[0] < (now_ms() - at_ms) / 1000
