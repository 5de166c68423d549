"""A node that is told to stop: what runs may end, and the rest goes back."""

from __future__ import annotations

import asyncio

from ironforge.job.record import JobState
from tests.actors.node.kit import Gate, World, node_names, until


async def test_jobs_that_outlast_the_drain_are_requeued_without_spending_an_attempt(world: World) -> None:
    gate = Gate()

    @world.forge.job("long")
    async def long() -> None:
        await gate.pass_through()

    async with world.node(drain_seconds=0.0):
        job_id = await world.submit("long")
        await until(lambda: gate.entered, "the job to run")

    assert gate.cancelled == [None]
    view = await world.get(job_id)
    assert view.state is JobState.QUEUED
    assert view.job.attempt == 0
    assert view.job.crashes == 0
    assert view.job.fence == 1
    assert node_names(world) == set()


async def test_a_draining_node_lets_running_jobs_end_and_takes_no_more(world: World) -> None:
    world.change(concurrency=1)
    gate = Gate()

    @world.forge.job("long")
    async def long() -> None:
        await gate.pass_through()

    async with world.node() as node:
        running = await world.submit("long")
        await until(lambda: gate.entered, "the job to run")
        node.stop()
        ended = asyncio.create_task(node.wait())
        assert node.problems() == ["draining: this node is being stopped"]
        await asyncio.sleep(0)
        queued = await world.submit("note", "too late")
        gate.open()
        assert await ended == 0

        assert await world.state(running) is JobState.COMPLETED
        assert await world.state(queued) is JobState.QUEUED
    assert world.ran == []


async def test_a_second_stop_does_not_wait_for_running_jobs(world: World) -> None:
    gate = Gate()

    @world.forge.job("long")
    async def long() -> None:
        await gate.pass_through()

    async with world.node(drain_seconds=3600.0) as node:
        job_id = await world.submit("long")
        await until(lambda: gate.entered, "the job to run")
        node.stop()
        ended = asyncio.create_task(node.wait())
        await asyncio.sleep(0)
        node.stop()
        await ended

    assert await world.state(job_id) is JobState.QUEUED
