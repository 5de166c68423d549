"""Real nodes fire the ticks of schedules, and run their jobs."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from ironforge import Context
from ironforge.job.record import format_id
from ironforge.job.request import JobRequest
from ironforge.schedules.definition import CatchUp, Schedule
from tests.actors.node.kit import QUICK, World
from tests.support.waiting import until

EVERY_SECOND = Schedule(
    job=JobRequest(kind="note", payload=msgspec.Raw(b"1")),
    every_seconds=1.0,
    overlap="allow",
    catch_up=CatchUp("all", 60.0),
)


async def test_each_tick_runs_once_whichever_of_several_nodes_fires_it(world: World) -> None:
    schedules = world.cluster.store_client.schedules
    async with world.node() as one, world.node() as other:
        await schedules.put("report", EVERY_SECOND)
        await until(lambda: len(world.ran) >= 3, "three ticks")
        await schedules.pause("report")
        past = [row for row in await schedules.history("report") if row.outcome == "started"]
        await until(lambda: len(world.ran) == len(past), "their jobs to have run")
        registries = [node.metrics.registry for node in (one, other)]
        counted = [registry.get_sample_value("ironforge_tick_lateness_seconds_count") for registry in registries]
        assert sum(filter(None, counted)) == len(past)
    times = sorted(row.at_ms for row in past)
    assert times == list(range(times[0], times[-1] + 1, 1000))
    assert min(row.late_ms for row in past) >= 0


async def test_a_node_that_dies_leaves_its_ticks_to_another(world: World) -> None:
    """Also those that it had been told of."""
    schedules = world.cluster.store_client.schedules
    async with world.node() as node:
        await schedules.put("report", EVERY_SECOND)
        await until(lambda: world.ran, "the first tick")
        for ticker in node._store.tickers:
            await ticker.close()  # it can do nothing more, and may know of the next one
        before = len(world.ran)
        async with world.node():
            await until(lambda: len(world.ran) >= before + 2, "its ticks, by the other node")
    rows = await schedules.history("report")
    times = sorted(row.at_ms for row in rows if row.outcome == "started")
    assert times == list(range(times[0], times[-1] + 1, 1000))


@pytest.mark.parametrize("executor", ["async", "thread"])
async def test_each_run_of_a_tick_s_job_knows_the_tick(
    world: World, caplog: pytest.LogCaptureFixture, executor: str
) -> None:
    def report(context: Context) -> None:
        world.ran.append((context.schedule, context.tick_at))
        raise ValueError("no paper")

    async def on_loop(context: Context) -> None:
        report(context)

    events: list[Any] = []
    world.forge.job("report", max_retries=1, backoff=QUICK)(on_loop if executor == "async" else report)
    for event in ("attempt_started", "attempt_failed", "job_dead"):
        world.forge.on(event, events.append)  # type: ignore[call-overload]
    day = Schedule(job=JobRequest(kind="report", payload=msgspec.Raw(b"{}")), every_seconds=86_400.0)
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    async with world.node():
        await world.cluster.store_client.schedules.put("nightly", day)
        [(_, job_id)] = await world.cluster.store_client.schedules.backfill("nightly", start, end)
        view = await world.dead(format_id(job_id))
    assert world.ran == [("nightly", start)] * 2
    assert view.job.tick is not None
    assert (view.job.tick.schedule, view.job.tick.at) == ("nightly", start)
    assert [(event.schedule, event.tick_at) for event in events] == [("nightly", start)] * 5
    lines: list[Any] = [line for line in caplog.records if line.name == "ironforge.job" and hasattr(line, "next")]
    assert [(line.schedule, line.tick_at) for line in lines] == [("nightly", start.isoformat())] * 2
    assert logging.WARNING in {line.levelno for line in lines}
