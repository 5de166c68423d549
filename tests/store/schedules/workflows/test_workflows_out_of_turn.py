"""Workflows of schedules that are asked for: at once, and for ticks of the past."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from ironforge.job.record import decode
from ironforge.job.tick import JobTick
from ironforge.store.schedules.contract import Fired
from tests.store.kit import Cluster, Node, completed, job_in
from tests.store.schedules.kit import (
    history,
    schedules,
)
from tests.store.schedules.workflows.kit import nightly, run_of, status, through
from tests.store.workflows.flow import Flow
from tests.workflows.documents import node

FROM, TO = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 4, tzinfo=UTC)


async def test_out_of_turn(cluster: Cluster) -> None:
    worker = await cluster.node()
    await schedules(cluster).put("report", nightly())
    fired = await schedules(cluster).trigger("report")
    run = await run_of(cluster, worker)
    assert (fired.outcome, fired.reason, fired.job_id) == ("started", "trigger", run.id)
    assert await schedules(cluster).trigger("report") == Fired("skipped", "overlap")
    await through(run)


@pytest.mark.parametrize("overlap", ["skip", "queue_one"])
async def test_a_backfill_starts_a_workflow_for_each_tick_of_the_past(cluster: Cluster, overlap: str) -> None:
    worker = await cluster.node()
    await schedules(cluster).put("report", nightly(node("a"), start=FROM, overlap=overlap))
    planned = await schedules(cluster).backfill("report", FROM, TO, dry_run=True)
    assert cluster.raw.zcard(cluster.keys.waiting("workflow")) == 0
    filled = await schedules(cluster).backfill("report", FROM, TO, per_second=0.1)
    assert [at_ms for at_ms, _ in filled] == [at_ms for at_ms, _ in planned]
    ticks = [decode(cluster.raw.hget(cluster.keys.parked, run)).tick for _, run in filled]
    assert ticks == [JobTick("report", at_ms) for at_ms, _ in filled]
    [past] = await history(cluster, "report")
    assert (past.reason, past.ticks, past.is_workflow) == ("backfill", 3, True)
    assert await worked_off(cluster, worker) == [run for _, run in filled]
    assert [await status(Flow.of(cluster, worker, run)) for _, run in filled] == ["completed"] * 3


async def worked_off(cluster: Cluster, worker: Node) -> list[bytes]:
    """Whose nodes ran, in order, until none is left."""
    order: list[bytes] = []
    for _ in range(20):
        for item in cluster.raw.zrange(cluster.keys.advance, 0, -1):
            cluster.raw.zadd(cluster.keys.advance, {item: 1})
            await worker.work.promote()
        batch = await worker.work.fetch(10)
        order += [parent.id for one in batch if (parent := job_in(one).parent)]
        await worker.work.settle([completed(one) for one in batch])
        await worker.work._advancer.advance(3)  # type: ignore[attr-defined]
    return order


async def test_a_backfill_begins_them_one_after_the_other(cluster: Cluster) -> None:
    await schedules(cluster).put("report", nightly(node("a"), start=FROM, overlap="allow"))
    filled = await schedules(cluster).backfill("report", FROM, TO, per_second=0.1)
    begins = [cluster.raw.zscore(cluster.keys.advance, run + b"b0.0") for _, run in filled]
    assert [round((one - begins[0]) / 1000) for one in begins] == [0, 10, 20]


async def test_a_large_backfill_takes_several_calls(cluster: Cluster) -> None:
    nodes = [node(f"n{number}") for number in range(100)]
    until = FROM + timedelta(days=25)
    await schedules(cluster).put("report", nightly(*nodes, start=FROM, overlap="allow"))
    filled = await schedules(cluster).backfill("report", FROM, until, per_second=10.0)
    assert len({run for _, run in filled}) == 25
    begins = [cluster.raw.zscore(cluster.keys.advance, run + b"b0.0") for _, run in filled]
    assert all(one < after for one, after in itertools.pairwise(begins))
    assert cluster.raw.zcard(cluster.keys.waiting("workflow")) == 25
