"""Nodes that are drained, or lose their leases, in the middle of steps."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from ironforge import Context
from ironforge.execution.executor import Executor
from tests.actors.node.kit import Gate, World
from tests.actors.node.steps.kit import journal
from tests.actors.node.test_lease import fence_everybody
from tests.support.waiting import until

pytestmark = pytest.mark.one_shard


def fences(world: World, job_id: str) -> dict[str, int]:
    return {name: entry.fence for name, entry in journal(world, job_id).items()}


async def test_a_drain_in_a_step_repeats_that_step_and_none_before(world: World) -> None:
    gate, calls = Gate(), []

    @world.forge.job("order")
    async def order(context: Context) -> None:
        await context.step("charge", calls.append, "charge")
        await context.step("ship", gate.pass_through)

    async with world.node(drain_seconds=0.0):
        job_id = await world.submit("order")
        await until(lambda: gate.entered, "the second step to begin")
    gate.open()
    async with world.node():
        view = await world.completed(job_id)
    assert calls == ["charge"]
    assert fences(world, job_id) == {"charge": 0, "ship": 1}
    assert (view.job.attempt, view.job.crashes) == (0, 0)


async def test_a_step_of_a_lost_lease_is_recorded_by_the_run_that_follows_it(world: World) -> None:
    gate = Gate()

    @world.forge.job("order")
    async def order(context: Context) -> int:
        value: int = await context.step("charge", lambda: context.fence)
        await context.step("ship", gate.pass_through)
        return value

    async with world.node(lease_seconds=4.0):
        job_id = await world.submit("order")
        await until(lambda: gate.entered, "the second step to begin")
        await fence_everybody(world)
        await until(lambda: len(gate.entered) == 2, "the job to run again")
        gate.open()
        view = await world.completed(job_id)
    assert len(gate.cancelled) == 1
    assert view.job.result == b"0"
    assert fences(world, job_id) == {"charge": 0, "ship": view.job.fence}


async def test_a_node_that_nobody_has_told_finds_out_as_it_records(world: World) -> None:
    gate, told = Gate(), []

    @world.forge.job("order")
    async def order(context: Context) -> None:
        await gate.pass_through()
        try:
            await context.step("charge", str)
        except BaseException as error:
            told.append(type(error))
            raise

    async with world.node() as node:
        job_id = await world.submit("order")
        await until(lambda: gate.entered, "the job to run")
        [name] = [key.decode() for key in world.cluster.raw.zrange(world.cluster.keys.nodes, 0, -1)]
        world.cluster.raw.incr(world.cluster.keys.fence(name))
        gate.open()
        view = await world.completed(job_id)
        assert node.metrics.registry.get_sample_value("ironforge_lease_losses_total") == 1.0
    assert told == [asyncio.CancelledError]
    assert fences(world, job_id) == {"charge": view.job.fence}
    assert view.job.attempt == 0


async def test_a_thread_of_a_lost_lease_records_nothing(world: World) -> None:
    begun, go_on, told = threading.Event(), threading.Event(), []

    @world.forge.job("order")
    def order(context: Context) -> int:
        if context.fence == 0:
            begun.set()
            go_on.wait()
            try:
                context.step("charge", lambda: 0)
            except BaseException as error:
                told.append(type(error))
                raise
        return int(context.step("charge", lambda: context.fence))

    async with world.node(lease_seconds=4.0):
        job_id = await world.submit("order")
        await until(begun.is_set, "the job to run")
        await fence_everybody(world)
        view = await world.completed(job_id)
        go_on.set()
        await until(lambda: told, "the thread to be told")
    assert told == [asyncio.CancelledError]
    assert fences(world, job_id) == {"charge": view.job.fence}
    assert view.job.fence > 0


async def test_a_job_whose_worker_crashed_has_its_journal_still(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.change(concurrency=1)
    calls: list[int] = []
    concluded = Executor._perform
    broken = iter([True, False, False])

    async def perform(self: Executor, attempt: Any) -> None:
        await concluded(self, attempt)
        if attempt.job.kind == "order" and next(broken):
            raise RuntimeError("a bug of ours")

    monkeypatch.setattr(Executor, "_perform", perform)

    @world.forge.job("order")
    async def order(context: Context) -> None:
        await context.step("charge", calls.append, 1)

    async with world.node():
        view = await world.completed(await world.submit("order"))
    assert calls == [1]
    assert (view.job.crashes, view.job.journal) == (0, True)
