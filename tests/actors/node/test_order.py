"""Who runs first, and where: strict priorities, no job waiting for a busy worker while another one is free."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ironforge.job.record import encode
from tests.actors.node.kit import Gate, World, until


@pytest.mark.one_shard
async def test_priorities_are_strict(world: World) -> None:
    world.change(concurrency=1)
    for priority in ("low", "critical", "medium", "high", "low", "critical"):
        last = await world.submit("note", priority, priority=priority)

    async with world.node():
        await world.completed(last)
        await until(lambda: len(world.ran) == 6, "all jobs to run")

    assert world.ran == ["critical", "critical", "high", "medium", "low", "low"]


@pytest.mark.one_shard
async def test_within_a_priority_the_first_queue_of_a_node_comes_first(world: World) -> None:
    world.change(concurrency=1, queues=("first", "second"))
    await world.submit("note", "second high", queue="second", priority="high")
    await world.submit("note", "second", queue="second")
    await world.submit("note", "first", queue="first")

    async with world.node():
        await until(lambda: len(world.ran) == 3, "all jobs to run")

    assert world.ran == ["second high", "first", "second"]


async def test_a_node_leaves_queues_alone_that_it_does_not_serve(world: World) -> None:
    other = await world.submit("note", "elsewhere", queue="elsewhere")
    async with world.node():
        await world.completed(await world.submit("note", "here"))

    assert world.ran == ["here"]
    assert await world.state(other) == "queued"


@pytest.mark.one_shard
async def test_a_critical_job_overtakes_everything_that_is_queued(world: World) -> None:
    world.change(concurrency=1)
    gate = Gate()

    @world.forge.job("gate")
    async def wait() -> None:
        await gate.pass_through()

    async with world.node():
        await world.submit("gate")
        await until(lambda: gate.entered, "the worker to be busy")
        for number in range(20):
            await world.submit("note", number, priority="high")
        await world.submit("note", "critical", priority="critical")
        gate.open()
        await until(lambda: len(world.ran) == 21, "all jobs to run")

    assert world.ran[0] == "critical"


async def test_no_job_waits_at_a_busy_node_while_another_one_is_free(world: World) -> None:
    world.change(concurrency=2)
    gate = Gate()

    @world.forge.job("slow")
    async def slow() -> None:
        await gate.pass_through()

    async with world.node():
        for _ in range(3):
            await world.submit("slow")
        await until(lambda: len(gate.entered) == 2, "the first node to be full")
        async with world.node():
            await until(lambda: len(gate.entered) == 3, "the second node to take what the first cannot run")
            gate.open()


async def test_quick_jobs_behind_one_that_turns_out_slow_are_handed_to_free_workers(world: World) -> None:
    gate = Gate()

    @world.forge.job("sometimes.slow")
    async def sometimes_slow(payload: Any) -> None:
        if payload == "slow":
            await gate.pass_through()
        else:
            world.ran.append(payload)

    async with world.node():
        await world.forge.submit_many("sometimes.slow", [None] * 2_000)  # the dispatcher learns that they are quick
        await until(lambda: len(world.ran) == 2_000, "the quick ones to run")
        await world.forge.submit_many("sometimes.slow", ["slow", *range(200)])
        await until(lambda: len(world.ran) == 2_200, "those behind the slow one to run elsewhere")
        assert len(gate.entered) == 1
        gate.open()


async def test_results_before_a_slow_job_do_not_wait_for_it(world: World) -> None:
    world.change(concurrency=1)
    gate = Gate()

    @world.forge.job("sometimes.slow")
    async def sometimes_slow(payload: Any) -> None:
        if payload == "slow":
            await gate.pass_through()
        else:
            world.ran.append(payload)

    async with world.node():
        await world.forge.submit_many("sometimes.slow", [None] * 1_000)
        await until(lambda: len(world.ran) == 1_000, "the dispatcher to learn that they are quick")
        ids = await world.forge.submit_many("sometimes.slow", ["quick", "slow"])
        await world.completed(ids[0])
        assert len(gate.entered) == 1
        gate.open()


async def test_many_jobs_run_at_the_same_time_up_to_the_concurrency(world: World) -> None:
    gate = Gate()

    @world.forge.job("slow")
    async def slow() -> None:
        await gate.pass_through()

    async with world.node():
        await asyncio.gather(*(world.submit("slow") for _ in range(6)))
        await until(lambda: len(gate.entered) == 4, "four jobs to run")
        assert (await world.cluster.store_client.inspector.stats()).streams[2].queued == 2
        gate.open()
        await until(lambda: len(gate.left) == 6, "all jobs to end")


async def test_a_delayed_job_does_not_start_before_its_time(world: World) -> None:
    async with world.node():
        far = await world.submit("note", "far", delay_seconds=3600)
        near = await world.completed(await world.submit("note", "near", delay_seconds=0.1))

        assert near.job.started_ms - near.job.created_ms >= 100
        assert await world.state(far) == "scheduled"


@pytest.mark.one_shard
async def test_an_unreadable_record_behind_a_slow_job_is_put_aside_and_harms_nobody(world: World) -> None:
    world.change(concurrency=1)
    gate = Gate()

    @world.forge.job("sometimes.slow")
    async def sometimes_slow(payload: Any) -> None:
        if payload == "slow":
            await gate.pass_through()
        else:
            world.ran.append(payload)

    raw, keys = world.cluster.raw, world.cluster.keys
    async with world.node() as node:
        await world.forge.submit_many("sometimes.slow", [None] * 1_000)
        await until(lambda: len(world.ran) == 1_000, "the dispatcher to learn that they are quick")
        with raw.pipeline(transaction=True) as together:  # in one step, so that one fetch takes both
            slow = world.forge.prepare("sometimes.slow", "slow").job
            entry = together.xadd(keys.stream("default:2"), {"j": encode(slow)})
            together.xadd(keys.stream("default:2"), {"j": b"\xc1 nonsense"})
            first, _ = entry.execute()
        raw.hset(keys.index, slow.id, b"q:default:2:" + first)
        await until(lambda: gate.entered and raw.exists(keys.quarantine), "the record to be put aside")
        gate.open()
        await world.completed(slow.text_id)
        assert not node.problems()


@pytest.mark.one_shard
async def test_keys_take_turns_and_every_idle_worker_gets_one(world: World) -> None:
    world.change(concurrency=2)
    gate = Gate()

    @world.forge.job("gate")
    async def wait(payload: str) -> None:
        await gate.pass_through(payload)
        world.ran.append(payload)

    async with world.node():
        await world.forge.submit_many("gate", ["many"] * 40, fairness_key="many")
        await world.forge.submit_many("gate", ["few"] * 4, fairness_key="few")
        await until(lambda: len(gate.entered) == 2, "both workers to be busy")
        gate.open()
        await until(lambda: len(world.ran) == 44, "all jobs to run")
    assert "few" not in world.ran[16:]
