"""Jobs that may have killed nodes run alone on theirs, one at a time; the guilty is buried, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from ironforge import Context, Forge, Snooze
from ironforge.actors import alone
from ironforge.actors.messages import Heard
from ironforge.execution.executor import Executor
from ironforge.job.record import Job, JobState, decode, encode, shard_of
from ironforge.redis.shards import shards_of
from ironforge.store import Rewrite
from ironforge.store.consumer import stream_selector
from ironforge.store.consumer.consumer import RedisConsumer
from ironforge.store.server_checks import check_shards
from tests.actors.node.kit import QUICK, Gate, World, until
from tests.store.kit import job


@pytest.fixture(autouse=True)
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes look for suspects whenever they can."""
    monkeypatch.setattr(stream_selector, "SUSPECTS_SECONDS", 0.0)
    monkeypatch.setattr(stream_selector, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(alone, "SHIFT_SECONDS", 0.01)
    monkeypatch.setattr(alone, "FIRST_PATIENCE_SECONDS", 0.05)


async def suspected(world: World, *jobs: Job) -> list[str]:
    """Jobs that were held by two nodes when they died. By a way that no other node can be faster on."""
    cluster = world.cluster
    await check_shards(cluster.settings)
    for one in jobs:
        keys = shards_of(cluster.settings)[shard_of(one.id, cluster.settings.shards)]
        cluster.raw.xadd(keys.quarantine, {"record": encode(one), "stream": one.stream, "reason": "newer"})
    node = await cluster.node()
    assert await node.work.restore() == len(jobs)
    await node.leases.leave(node.lease)
    return [one.text_id for one in jobs]


def suspect(kind: str = "alone") -> Job:
    return job(kind=kind, crashes=2)


class Company:
    """Says of each run what else ran at the same time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.running: set[str] = set()
        self.beside: dict[str, set[str]] = {}

    @asynccontextmanager
    async def of(self, context: Context) -> AsyncIterator[None]:
        self.running.add(context.id)
        for one in self.running:
            self.beside.setdefault(one, set()).update(self.running - {one})
        try:
            yield
        finally:
            self.running.discard(context.id)


@pytest.mark.slow
async def test_suspects_run_one_by_one_with_nothing_beside_them(world: World) -> None:
    company = Company(world)
    long = Gate()

    @world.forge.job("alone")
    async def run_alone(context: Context) -> None:
        async with company.of(context):
            await asyncio.sleep(0.01)

    @world.forge.job("quick")
    async def quick(context: Context) -> None:
        async with company.of(context):
            await asyncio.sleep(0.001)

    @world.forge.job("long")
    async def run_long(context: Context) -> None:
        async with company.of(context):
            await long.pass_through()

    async with world.node() as node:
        await world.submit("long")
        await until(lambda: long.entered, "the long job to run")
        suspects = await suspected(world, *(suspect() for _ in range(6)))
        others = [await world.submit("quick") for _ in range(50)]
        for other in others:  # they do not wait for the suspects, which wait for the long one
            await world.completed(other)
        assert [await world.state(one) for one in suspects] == [JobState.QUEUED] * 6
        long.open()
        more = [await world.submit("quick") for _ in range(50)]
        for one in (*suspects, *more):
            await world.completed(one)
        assert node.metrics.registry.get_sample_value("ironforge_suspect_runs_total") == 6.0
    assert [company.beside[one] for one in suspects] == [set()] * 6


async def test_a_node_that_is_empty_sooner_runs_them(world: World) -> None:
    forges = [Forge(world.settings) for _ in range(2)]
    gates = [Gate(), Gate()]
    ran: list[Gate] = []

    def register(forge: Forge, gate: Gate) -> None:
        @forge.job("long")
        async def long() -> None:
            await gate.pass_through()

        @forge.job("alone")
        async def run_alone() -> None:
            ran.append(gate)

    for forge, gate in zip(forges, gates, strict=True):
        register(forge, gate)
    async with world.node(forges[0]), world.node(forges[1]):
        await world.submit("long")
        await until(lambda: gates[0].entered or gates[1].entered, "one of the nodes to be busy")
        (one,) = await suspected(world, suspect())
        await world.completed(one)
        assert ran == [gate for gate in gates if not gate.entered]
        for gate in gates:
            gate.open()
    for forge in forges:
        await forge.close()


async def test_a_node_waits_longer_each_time_until_it_is_its_turn(world: World) -> None:
    """Jobs that take longer than a node's patience come all the time, and there is no other node."""
    busy = True

    @world.forge.job("steady")
    async def steady() -> None:
        await asyncio.sleep(0.2)
        if busy:
            await world.submit("steady")

    @world.forge.job("alone")
    async def run_alone() -> None:
        pass

    async with world.node():
        for _ in range(3):
            await world.submit("steady")
        (one,) = await suspected(world, suspect())
        await world.completed(one)
        busy = False


async def test_a_job_that_crashes_its_worker_is_buried_and_its_neighbours_are_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = Executor.prepare

    def broken(self: Executor, record: bytes, stream: str) -> object:
        if decode(record).kind == "guilty":
            raise RuntimeError("a bug of ours")
        return prepare(self, record, stream)

    monkeypatch.setattr(Executor, "prepare", broken)
    world.change(concurrency=2)
    guilty = await world.submit("guilty")
    neighbours = [await world.submit("note", number) for number in range(20)]
    async with world.node() as node:
        view = await world.dead(guilty)
        for neighbour in neighbours:
            await world.completed(neighbour)
        assert node.metrics.registry.get_sample_value("ironforge_suspect_runs_total") == 1.0

    assert view.job.crashes == 3
    assert view.job.reason.startswith("poison: a worker of node ")
    assert view.job.reason.endswith(" crashed while it ran nothing but this job")
    assert world.cluster.totals().get("failed", 0) == 0


async def test_a_job_that_crashes_its_node_again_and_again_is_buried_and_its_neighbours_are_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    park = RedisConsumer.park

    async def broken(self: RedisConsumer, batch: Sequence[Rewrite]) -> None:
        if any(decode(one.record).kind == "guilty" for one in batch):
            raise RuntimeError("a bug of ours")
        await park(self, batch)

    monkeypatch.setattr(RedisConsumer, "park", broken)
    gate = Gate()

    @world.forge.job("guilty")
    async def guilty() -> None:
        raise ValueError("fails")

    @world.forge.job("neighbour", max_retries=1, backoff=QUICK)
    async def neighbour(context: Context) -> None:
        await gate.pass_through(context.id)

    async with world.node():
        neighbours = [await world.submit("neighbour") for _ in range(2)]
        await until(lambda: len(gate.entered) == 2, "the neighbours to run")
        one = await world.submit("guilty")
        await until(lambda: len(gate.entered) > 4, "two crashes")
        gate.open()
        view = await world.dead(one)
        for other in neighbours:
            await world.completed(other)

    assert view.job.crashes == 3
    assert view.job.errors[-1].type == "Crash"
    assert "a role of node" in view.job.reason


async def test_a_suspect_that_outlasts_the_drain_is_requeued_and_not_blamed(world: World) -> None:
    gate = Gate()

    @world.forge.job("alone")
    async def run_alone(context: Context) -> None:
        await gate.pass_through()

    (one,) = await suspected(world, suspect())
    async with world.node(drain_seconds=0.0):
        await until(lambda: gate.entered, "the suspect to run")
        assert world.cluster.raw.exists(shards_of(world.settings)[0].alone) == 1
    view = await world.get(one)
    assert view.state == JobState.QUEUED
    assert view.job.crashes == 2
    assert world.cluster.raw.exists(shards_of(world.settings)[0].alone) == 0
    gate.open()
    async with world.node():
        await world.completed(one)


async def test_a_suspect_that_runs_can_be_cancelled(world: World) -> None:
    gate = Gate()

    @world.forge.job("alone")
    async def run_alone() -> None:
        await gate.pass_through()

    (one,) = await suspected(world, suspect())
    async with world.node():
        await until(lambda: gate.entered, "the suspect to run")
        await world.cancel(one)
        await world.reached(one, JobState.CANCELLED)
        await world.completed(await world.submit("note", "next"))


@pytest.mark.parametrize("how", ["fails", "snoozes"])
async def test_a_suspect_that_killed_nobody_is_none_any_longer(world: World, how: str) -> None:
    company = Company(world)
    gate = Gate()

    @world.forge.job("alone", max_retries=1, backoff=QUICK)
    async def run_alone(context: Context) -> None:
        async with company.of(context):
            if context.fence == 0:
                raise ValueError("fails") if how == "fails" else Snooze(0.001)
            await gate.pass_through()

    @world.forge.job("beside")
    async def beside(context: Context) -> None:
        async with company.of(context):
            pass

    (one,) = await suspected(world, suspect())
    async with world.node():
        await until(lambda: gate.entered, "its second run")
        other = await world.submit("beside")
        await world.completed(other)
        gate.open()
        view = await world.completed(one)
    assert view.job.crashes == 0
    assert company.beside[one] == {other}


async def test_a_node_is_ready_while_a_suspect_runs(world: World) -> None:
    gate = Gate()

    @world.forge.job("alone")
    async def run_alone() -> None:
        await gate.pass_through()

    (one,) = await suspected(world, suspect())
    async with world.node() as node:
        await until(lambda: gate.entered, "the suspect to run")
        assert await node.system.ref("node/dispatcher").ask(Heard(), timeout_seconds=5.0) == 0.0
        gate.open()
        await world.completed(one)
