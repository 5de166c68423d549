"""What becomes of a tick while the workflow of the last one goes on."""

from __future__ import annotations

import pytest

from tests.store.kit import Cluster
from tests.store.schedules.kit import (
    CAUGHT_UP,
    every,
    make_due,
    outcomes,
    schedules,
    tick,
    ticked,
    ticker,
)
from tests.store.schedules.workflows.kit import nightly, run_of, runs_of, status, through
from tests.store.workflows.flow import Flow


async def test_a_workflow_that_goes_on_has_ticks_skipped(cluster: Cluster) -> None:
    worker = await cluster.node()
    [run, same] = await runs_of(cluster, worker, 2, overlap="skip")
    assert same.id == run.id
    await through(run)
    await ticked(cluster, "report")
    assert await outcomes(cluster, "report") == [("started", "", 1), ("skipped", "overlap", 1), ("started", "", 1)]


async def test_a_workflow_that_failed_has_ended(cluster: Cluster) -> None:
    worker = await cluster.node()
    [run] = await runs_of(cluster, worker, 1, overlap="skip")
    assert await run.started() == ["a"]
    await run.end("a", how="dead")
    await run.settle()
    assert await status(run) == "failed"
    await ticked(cluster, "report")
    assert (await run_of(cluster, worker)).id != run.id


async def test_workflows_side_by_side(cluster: Cluster) -> None:
    worker = await cluster.node()
    first, second = await runs_of(cluster, worker, 2, overlap="allow")
    assert [await status(run) for run in (first, second)] == ["running", "running"]


async def test_a_new_workflow_cancels_the_last_one(cluster: Cluster) -> None:
    worker = await cluster.node()
    first, second = await runs_of(cluster, worker, 2, overlap="cancel_running")
    assert first.id != second.id
    await first.settle()
    assert await status(first) == "cancelled"
    assert await second.started() == ["a"]


@pytest.mark.parametrize("was", ["job", "workflow"])
async def test_one_that_was_defined_anew_cancels_what_it_started_before(cluster: Cluster, was: str) -> None:
    worker = await cluster.node()
    both = [every(catch_up=CAUGHT_UP, overlap="cancel_running"), nightly(overlap="cancel_running")]
    before, now = both if was == "job" else reversed(both)
    await schedules(cluster).put("report", before)
    await ticked(cluster, "report")
    first = (await schedules(cluster).get("report")).last_job or b""
    await schedules(cluster).put("report", now)
    await ticked(cluster, "report")
    await Flow.of(cluster, worker, first).settle()
    assert not cluster.raw.hexists(cluster.keys.index, first)
    assert cluster.raw.hexists(cluster.keys.index, (await schedules(cluster).get("report")).last_job)


async def test_one_whose_tick_has_moved_meanwhile_cancels_nothing(cluster: Cluster) -> None:
    worker = await cluster.node()
    [run] = await runs_of(cluster, worker, 1, overlap="cancel_running")
    make_due(cluster, "report")
    late = ticker(cluster)
    late.wake(0)
    await late._claims.claim()
    await schedules(cluster).pause("report")
    await late.tick()
    await run.settle()
    assert await status(run) == "running"
    assert await run.started() == ["a"]


async def test_one_that_cannot_be_cancelled_keeps_no_other_schedule_from_its_tick(cluster: Cluster) -> None:
    worker = await cluster.node()
    [run] = await runs_of(cluster, worker, 1, overlap="cancel_running")
    await schedules(cluster).put("well", every(catch_up=CAUGHT_UP))
    make_due(cluster, "well")
    make_due(cluster, "report")
    cluster.raw.rename(run.keys.progress(run.id.hex()), aside := cluster.keys.prefix + "aside")
    cluster.raw.lpush(run.keys.progress(run.id.hex()), "somebody's")
    await tick(ticker(cluster))
    assert await outcomes(cluster, "well") == [("started", "", 1)]
    assert "WRONGTYPE" in (await schedules(cluster).get("report")).problem
    cluster.raw.delete(run.keys.progress(run.id.hex()))
    cluster.raw.rename(aside, run.keys.progress(run.id.hex()))
    cluster.raw.zadd(cluster.keys.ticks, {"report": 1})
    await tick(ticker(cluster))
    assert (await run_of(cluster, worker)).id != run.id
    await run.settle()
    assert await status(run) == "cancelled"
