"""The lease of a node: what happens when it is lost, when a role crashes, and when the node leaves."""

from __future__ import annotations

import asyncio
import logging

import pytest

from ironforge import Context
from ironforge.actors.heartbeat import BEATS_PER_LEASE, Heartbeat
from ironforge.actors.messages import Done
from ironforge.errors import StoreUnavailable
from ironforge.execution.executor import Executor
from ironforge.job.record import JobState
from ironforge.store import Lease
from ironforge.store.consumer.leases import RedisLeases
from tests.actors.node.kit import Gate, World, node_names, until


async def fence_everybody(world: World) -> None:
    """Another node takes over whoever is there, as if their leases had run out."""
    names = node_names(world)
    other = await world.cluster.node()
    for name in names:
        world.cluster.raw.zadd(world.cluster.keys.nodes, {name: 1})
        await other.leases.take_over(other.lease, name)
    await other.leases.leave(other.lease)


@pytest.mark.one_shard
async def test_a_node_that_lost_its_lease_stops_its_jobs_and_begins_anew(world: World) -> None:
    gate = Gate()

    @world.forge.job("long")
    async def long(context: Context) -> int:
        await gate.pass_through(context.fence)
        return context.fence

    async with world.node(lease_seconds=4.0) as node:
        job_id = await world.submit("long")
        await until(lambda: gate.entered == [0], "the job to run")

        await fence_everybody(world)

        await until(lambda: 0 in gate.cancelled, "the handler to be cancelled")
        await until(lambda: len(gate.entered) > len(gate.cancelled), "the job to run again")
        gate.open()
        view = await world.completed(job_id)
        assert gate.entered == sorted(gate.entered)  # with a higher fence each time
        assert view.job.result == str(gate.entered[-1]).encode()
        assert view.job.attempt == 0
        assert view.job.crashes == 1
        assert node.metrics.registry.get_sample_value("ironforge_lease_losses_total") == 1.0


@pytest.mark.slow
@pytest.mark.one_shard
async def test_a_node_may_lose_its_lease_as_often_as_it_likes(world: World) -> None:
    async with world.node() as node:

        def lost() -> float:
            return node.metrics.registry.get_sample_value("ironforge_lease_losses_total") or 0.0

        for _ in range(8):  # the budget for bugs is 5 restarts
            await until(lambda: len(node_names(world)) == 1, "the node to have joined")
            before = lost()
            await fence_everybody(world)
            await until(lambda: lost() > before, "the node to have heard of it")  # noqa: B023
        await world.completed(await world.submit("note", "still here"))
        await until(lambda: not node.problems(), "the node to be ready again")


@pytest.mark.one_shard
async def test_a_node_renews_its_lease_while_it_puts_back_what_it_held_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That may take longer than a lease lasts."""
    reclaim, renewed = RedisLeases.reclaim, []

    async def slow(leases: RedisLeases, lease: Lease) -> None:
        first_ms = world.cluster.raw.zscore(world.cluster.keys.nodes, lease.node)
        await until(lambda: world.cluster.raw.zscore(world.cluster.keys.nodes, lease.node) > first_ms, "a heartbeat")
        renewed.append(lease.node)
        await reclaim(leases, lease)

    monkeypatch.setattr(RedisLeases, "reclaim", slow)
    async with world.node():
        await until(lambda: node_names(world) == {*renewed}, "the node to have joined")
        await world.completed(await world.submit("note", "it works"))


@pytest.mark.one_shard
async def test_a_late_result_of_a_lost_lease_is_not_settled(world: World) -> None:
    gate = Gate()

    @world.forge.job("long")
    async def long(context: Context) -> int:
        await gate.pass_through(context.fence)
        return context.fence

    async with world.node() as node:
        job_id = await world.submit("long")
        await until(lambda: gate.entered == [0], "the job to run")
        [name] = node_names(world)
        world.cluster.raw.incr(world.cluster.keys.fence(name))  # and nobody tells the node
        gate.open()

        view = await world.completed(job_id)

        assert view.job.result == b"1"
        assert world.cluster.totals()["completed"] == 1
        assert node.metrics.registry.get_sample_value("ironforge_stale_settlements_total") == 1.0


@pytest.mark.one_shard
async def test_a_dead_node_is_taken_over_once_the_others_have_watched_it_for_a_lease(world: World) -> None:
    dead = await world.cluster.node()
    job_id = await world.submit("note", "left behind")
    [_] = await dead.work.fetch(1)

    async with world.node(lease_seconds=1.0):
        world.cluster.lapse(dead)
        view = await world.completed(job_id)

        assert view.job.crashes == 1
        # Its jobs are moved first; the node itself is forgotten after them.
        await until(lambda: dead.lease.node not in node_names(world), "the dead node to be forgotten")


@pytest.mark.one_shard
async def test_a_consumer_that_is_no_node_is_taken_over_as_well(world: World) -> None:
    """A node may read on after it was taken over, and then die: nobody's lease runs out for what it read."""
    stray = await world.cluster.node()
    world.cluster.raw.zrem(world.cluster.keys.nodes, stray.lease.node)
    job_id = await world.submit("note", "left behind")
    [_] = await stray.work.fetch(1)

    async with world.node(lease_seconds=1.0):
        await world.completed(job_id)


@pytest.mark.one_shard
async def test_a_job_that_kills_its_nodes_ends_as_poison(world: World) -> None:
    job_id = await world.submit("note", "poison")
    for crashes in range(3):
        victim = await world.cluster.node()
        [_] = await (victim.work.alone.fetch() if crashes == 2 else victim.work.fetch(1))
        await fence_everybody(world)

    view = await world.get(job_id)

    assert view.state is JobState.DEAD
    assert "poison" in view.job.reason
    assert view.job.attempt == 0
    assert view.job.crashes == 3
    assert world.ran == []


async def test_a_crashed_worker_is_replaced_and_its_job_runs_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.change(concurrency=1)
    prepare = Executor.prepare
    crashes = iter([True, False])

    def broken_once(self: Executor, record: bytes, stream: str) -> object:
        if next(crashes):
            raise RuntimeError("a bug of ours")
        return prepare(self, record, stream)

    monkeypatch.setattr(Executor, "prepare", broken_once)
    async with world.node():
        view = await world.completed(await world.submit("note", "once more"))

    assert view.job.attempt == 0
    assert view.job.crashes == 1


async def test_when_a_role_crashes_the_node_begins_anew_and_loses_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()

    @world.forge.job("long")
    async def long() -> None:
        await gate.pass_through()

    async with world.node() as node:
        job_id = await world.submit("long")
        await until(lambda: gate.entered, "the job to run")
        before = node_names(world)

        await node.system.ref("node/dispatcher").tell(Done(999, 1, 0.0, (), (), (), (), ()))

        await until(lambda: len(gate.entered) == 2, "the job to run again")
        gate.open()
        view = await world.completed(job_id)
        assert before.isdisjoint(node_names(world))
        assert view.job.attempt == 0
        assert view.job.crashes == 1  # nobody can tell that it was not this job
    assert "crashed in Done" in caplog.text


async def test_a_node_whose_roles_keep_crashing_gives_up(world: World) -> None:
    async with world.node() as node:
        ended = asyncio.create_task(node.wait())

        async def crash_again() -> bool:
            try:
                node.system.ref("node/dispatcher").try_tell(Done(999, 1, 0.0, (), (), (), (), ()))
            except Exception:
                await asyncio.sleep(0)
            return ended.done()

        await until(crash_again, "the node to give up")
        assert ended.result() == 1


async def test_the_heart_stops_while_the_loop_is_stuck(world: World, caplog: pytest.LogCaptureFixture) -> None:
    node = await world.cluster.node()
    beats: list[object] = []
    heart = Heartbeat(node.leases, node.lease, 0.2, lambda *beat: beats.append(beat), beats.append)
    heart.start()
    with caplog.at_level(logging.WARNING):
        await until(lambda: "no heartbeat" in caplog.text, "the heart to notice that nobody ticks")
    seen = len(beats)
    heart.tick()
    await until(lambda: len(beats) > seen, "the heart to beat again after a tick")
    await asyncio.to_thread(heart.stop)


async def test_a_heartbeat_that_fails_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    node = await world.cluster.node()
    beat = node.leases.beat
    failures = iter([True, False])

    def shaky(lease: object) -> list[str]:
        if next(failures, False):
            raise StoreUnavailable("the server is away")
        return beat(lease)

    monkeypatch.setattr(node.leases, "beat", shaky)
    beats: list[object] = []
    heart = Heartbeat(node.leases, node.lease, 0.2, lambda *one: beats.append(one), beats.append)
    heart.start()

    def ticked() -> bool:
        heart.tick()
        return bool(beats)

    await until(ticked, "the second heartbeat")
    await asyncio.to_thread(heart.stop)
    assert "the server is away" in caplog.text
    assert BEATS_PER_LEASE >= 3
