"""The demand window on two nodes: quick jobs taught it to reach far, slow ones must make it let go."""

from __future__ import annotations

import asyncio

import pytest

from ironforge import Context
from tests.actors.node.kit import Gate, World, until

pytestmark = pytest.mark.unmeasured

WORKERS = 4
SLOW_SECONDS = 0.1


async def test_with_slow_handlers_no_job_waits_for_a_busy_worker_while_another_one_is_free(world: World) -> None:
    world.change(concurrency=WORKERS)
    gate = Gate()

    @world.forge.job("slow")
    async def slow() -> None:
        await asyncio.sleep(SLOW_SECONDS)
        world.ran.append("slow")

    @world.forge.job("gated")
    async def gated() -> None:
        await gate.pass_through()

    async with world.node(), world.node():
        await world.forge.submit_many("note", [None] * 4_000)
        await until(lambda: len(world.ran) == 4_000, "the nodes to learn that jobs are quick")
        await world.forge.submit_many("slow", [None] * 4 * WORKERS)
        await until(lambda: world.ran.count("slow") == 4 * WORKERS, "the slow ones to run")
        # As many as both nodes have workers: one that were held in reserve could never begin.
        await world.forge.submit_many("gated", [None] * 2 * WORKERS)
        await until(lambda: len(gate.entered) == 2 * WORKERS, "every worker of both nodes to have one")
        gate.open()


async def test_slow_jobs_are_not_fetched_ahead_and_a_critical_one_overtakes_them_all(world: World) -> None:
    world.change(concurrency=WORKERS)
    started: list[str] = []
    requeued: list[int] = []

    @world.forge.job("slow")
    async def slow(payload: str, context: Context) -> None:
        started.append(payload)
        requeued.append(context.fence)
        await asyncio.sleep(SLOW_SECONDS)

    async with world.node(), world.node():
        await world.forge.submit_many("note", [None] * 4_000)
        await until(lambda: len(world.ran) == 4_000, "the nodes to learn that jobs are quick")
        await world.forge.submit_many("slow", ["first"] * 8 * WORKERS)
        await until(lambda: len(started) == 8 * WORKERS, "the nodes to learn that jobs are slow")
        await world.forge.submit_many("slow", ["medium"] * 16 * WORKERS)
        await until(lambda: len(started) >= 16 * WORKERS, "the nodes to be busy")
        before = len(started)
        await world.submit("slow", "critical", priority="critical")
        await until(lambda: "critical" in started, "the critical job to start")
        ran = len(started)  # the node that is stopped first requeues what it holds, and the other one runs it

    # At most the job that each worker was being given at that moment went first.
    assert started.index("critical") - before <= 2 * WORKERS
    # What had been fetched ahead would have come back to the stream, for a worker that is free.
    assert set(requeued[8 * WORKERS : ran]) == {0}
