"""Cancelling: a job that has not started never runs, one that runs is stopped at its node."""

from __future__ import annotations

import asyncio
import threading

import pytest

from ironforge.actors.messages import Cancel
from ironforge.job.record import JobState, parse_id
from ironforge.runtime.node import Node
from tests.actors.node.kit import Gate, World, until


async def test_a_queued_job_that_was_cancelled_never_runs(world: World) -> None:
    job_id = await world.submit("note", "cancelled")

    assert await world.cancel(job_id) is JobState.CANCELLED

    async with world.node():
        await world.completed(await world.submit("note", "next"))
    assert world.ran == ["next"]
    assert await world.state(job_id) is JobState.CANCELLED


async def test_a_scheduled_job_that_was_cancelled_never_runs(world: World) -> None:
    job_id = await world.submit("note", "cancelled", delay_seconds=0.05)

    assert await world.cancel(job_id) is JobState.CANCELLED

    async with world.node():
        await world.completed(await world.submit("note", "later", delay_seconds=0.06))
    assert world.ran == ["later"]


@pytest.mark.one_shard
async def test_a_running_job_is_stopped_at_its_node(world: World) -> None:
    gate = Gate()
    world.forge.job("long")(gate_job(gate))
    async with world.node():
        job_id = await world.submit("long")
        await until(lambda: gate.entered, "the job to run")

        assert await world.cancel(job_id) is JobState.RUNNING
        await world.reached(job_id, JobState.CANCELLED)

    assert gate.cancelled == ["job"]
    assert {k: v for k, v in world.cluster.totals().items() if k in ("cancelled", "completed")} == {"cancelled": 1}


async def test_a_job_that_waits_in_its_node_behind_another_is_stopped_before_it_starts(world: World) -> None:
    world.change(concurrency=1)
    gate = Gate()
    world.forge.job("long")(gate_job(gate))
    async with world.node() as node:
        long = await world.submit("long")
        await until(lambda: gate.entered, "the first job to run")
        behind = await world.submit("note", "behind")
        assert await world.cancel(behind) is JobState.CANCELLED
        gate.open()
        await world.completed(long)
        assert not node.problems()

    assert world.ran == []


@pytest.mark.one_shard
async def test_a_cancellation_whose_signal_was_lost_is_found_after_the_reconnection(world: World) -> None:
    gate = Gate()
    world.forge.job("long")(gate_job(gate))
    async with world.node():
        job_id = await world.submit("long")
        await until(lambda: gate.entered, "the job to run")
        raw, keys = world.cluster.raw, world.cluster.keys
        location = raw.hget(keys.index, parse_id(job_id))
        raw.hset(keys.index, parse_id(job_id), b"c" + location[1:])  # asked for, and nobody heard it

        raw.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

        await world.reached(job_id, JobState.CANCELLED)


@pytest.mark.one_shard
async def test_a_job_that_fails_after_its_cancellation_was_asked_for_is_cancelled_not_retried(world: World) -> None:
    entered, leave = threading.Event(), threading.Event()

    @world.forge.job("deaf")
    def deaf() -> None:
        entered.set()
        while not leave.is_set():
            leave.wait(0.01)
        raise RuntimeError

    async with world.node():
        job_id = await world.submit("deaf")
        await until(entered.is_set, "the job to run")
        raw, keys = world.cluster.raw, world.cluster.keys
        location = raw.hget(keys.index, parse_id(job_id))
        raw.hset(keys.index, parse_id(job_id), b"c" + location[1:])
        leave.set()

        await world.reached(job_id, JobState.CANCELLED)


@pytest.mark.one_shard
async def test_a_cancellation_that_overtakes_the_delivery_reaches_the_job_all_the_same(world: World) -> None:
    gate = Gate()
    world.forge.job("long")(gate_job(gate))
    async with world.node() as node:
        job_id = await world.submit("long", delay_seconds=3600)
        await tell_dispatcher(node, Cancel(parse_id(job_id)))
        world.cluster.ripen()

        await world.reached(job_id, JobState.CANCELLED)


def gate_job(gate: Gate):
    async def long() -> None:
        await gate.pass_through("job")

    return long


async def tell_dispatcher(node: Node, message: Cancel) -> None:
    await node.system.ref("node/dispatcher").tell(message)
    await asyncio.sleep(0)
