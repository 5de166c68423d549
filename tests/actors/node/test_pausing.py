"""Paused queues and whole nodes: busy, blocked in a read, started anew; and the server restarted between."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis.asyncio

from ironforge.job.context import Context
from ironforge.job.record import JobState
from ironforge.process.background import in_background
from ironforge.redis.shards import shards_of
from ironforge.runtime.embedded_server import EmbeddedServer
from ironforge.settings import load
from ironforge.store import StoreClient
from ironforge.store.server_checks import check_shards
from tests.actors.node.kit import Gate, World, until

# "About a second".
SOON_SECONDS = 2.0
LOOK_SECONDS = 0.01
ENOUGH = 40


async def pause(world: World, queue: str = "default", *, paused: bool = True) -> None:
    """As the API does, which looks for the number of shards when it starts."""
    await check_shards(world.settings)
    await world.cluster.store_client.producer.set_paused(queue, paused=paused)


class Pace:
    """How late this process, in which the node runs, and its server were: what a machine that is busy adds."""

    def __init__(self) -> None:
        self._late: list[tuple[float, float]] = []

    async def keep(self, world: World) -> None:
        """Until cancelled."""
        while True:
            begun = time.monotonic()
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(world.cluster.raw.ping)
            now = time.monotonic()
            self._late.append((now, now - begun - LOOK_SECONDS))

    def seconds(self, begin: float, end: float) -> float:
        """How long that took, but for what the machine added."""
        return end - begin - sum(late for at, late in self._late if at > begin and at - late < end)


async def queued(world: World, queue: str = "default") -> int:
    stats = await world.cluster.store_client.inspector.stats()
    return sum(stream.queued for stream in stats.streams if stream.queue == queue)


async def heard(world: World, holding: int = 0) -> None:
    """Until the node has seen in every shard what is paused, and of the queue only what it holds for longer is left.

    It has seen what a look found when it looks again.
    """
    looks = {keys.paused: 2 for keys in shards_of(world.settings)}
    async with redis.asyncio.Redis.from_url(world.settings.redis_url) as client, client.monitor() as monitor:
        while any(looks.values()):
            word, *rest = (await monitor.next_command())["command"].split()
            if word.upper() == "SMISMEMBER" and looks.get(rest[0]):
                looks[rest[0]] -= 1

    async def rests() -> bool:
        stats = await world.cluster.store_client.inspector.stats()
        return sum(stream.running for stream in stats.streams if stream.queue == "default") == holding

    await until(rests, "the node to finish what it had taken")


async def fill(world: World, kind: str = "note", **options: Any) -> list[str]:
    """Submits one job after the other until so many wait that the node cannot be taking them; all ids."""
    ids: list[str] = []

    async def filled() -> bool:
        ids.append(await world.submit(kind, len(ids), **options))
        return len(ids) % 10 == 0 and await queued(world) >= ENOUGH

    await until(filled, "jobs of the paused queue to wait")
    return ids


@pytest.mark.proof
async def test_a_busy_node_stops_taking_within_about_a_second_and_finishes_what_it_holds(world: World) -> None:
    world.change(queues=("default", "other"), concurrency=2)
    gate, pace = Gate(), Pace()
    began_at: list[float] = []

    @world.forge.job("gated")
    async def gated() -> None:
        await gate.pass_through()

    @world.forge.job("timed")
    async def timed(payload: Any) -> None:
        began_at.append(time.monotonic())

    async with world.node(), in_background(pace.keep(world), "pace"):
        held = await world.submit("gated")
        await until(lambda: gate.entered, "the node to hold a job")
        await pause(world)
        paused_at = time.monotonic()
        ids = await fill(world, "timed")
        await heard(world, holding=1)
        ran = len(began_at)
        await world.completed(await world.submit("note", "other", queue="other"))
        gate.open()
        await world.completed(held)
        assert [len(began_at), await queued(world)] == [ran, len(ids) - ran]
        assert pace.seconds(paused_at, max(began_at, default=paused_at)) < SOON_SECONDS
        await pause(world, paused=False)
        for job_id in ids:
            await world.completed(job_id)
        assert len(began_at) == len(ids)


@pytest.mark.proof
async def test_an_idle_node_that_waits_in_a_read_takes_nothing_of_what_comes_later(world: World) -> None:
    pace = Pace()
    began_at: list[float] = []

    @world.forge.job("timed")
    async def timed(payload: Any) -> None:
        began_at.append(time.monotonic())

    async with world.node(), in_background(pace.keep(world), "pace"):
        await world.completed(await world.submit("note", "before", priority="low"))
        await until(lambda: world.cluster.raw.info("clients")["blocked_clients"], "the node to wait")
        await pause(world)
        paused_at = time.monotonic()
        ids = await fill(world, "timed", fairness_key="tenant")
        await heard(world)
        ran = len(began_at)
        assert pace.seconds(paused_at, max(began_at, default=paused_at)) < SOON_SECONDS
        await pause(world, paused=False)
        resumed_at = time.monotonic()
        await until(lambda: len(began_at) == len(ids), "all of them to run")
        assert pace.seconds(resumed_at, began_at[ran]) < SOON_SECONDS


async def test_delays_and_retries_that_fall_due_wait_in_their_streams(world: World) -> None:
    @world.forge.job("flaky", max_retries=1)
    async def flaky(context: Context) -> None:
        if context.attempt == 1:
            await pause(world)
        raise ValueError("the first time")

    async with world.node():
        retried = await world.submit("flaky")
        await world.reached(retried, JobState.SCHEDULED)
        delayed = await world.submit("note", "delayed", delay_seconds=600)
        await heard(world)
        for keys in shards_of(world.settings):
            for job_id in world.cluster.raw.zrange(keys.scheduled, 0, -1):
                world.cluster.raw.zadd(keys.scheduled, {job_id: 1})
            world.cluster.raw.publish(keys.signals, b"due:0")
        await world.reached(delayed, JobState.QUEUED)
        await world.reached(retried, JobState.QUEUED)
        await pause(world, paused=False)
        await world.completed(delayed)
        await world.dead(retried)


async def test_a_node_that_begins_leaves_paused_queues_alone(world: World) -> None:
    world.change(queues=("default", "other"))
    async with world.node():
        await pause(world)
        await fill(world)
    waiting = await queued(world)
    async with world.node():
        await world.completed(await world.submit("note", "other", queue="other"))
        assert await queued(world) == waiting
        await pause(world, paused=False)
        await until(lambda: _none_wait(world), "all of them to run")


async def _none_wait(world: World) -> bool:
    return await queued(world) == 0


async def test_a_cancelled_job_of_a_paused_queue_never_runs(world: World) -> None:
    await pause(world)
    async with world.node():
        job_id = await world.submit("note", "cancelled")
        assert await world.cancel(job_id) is JobState.CANCELLED
        last = await world.submit("note", "last", priority="low")
        await pause(world, paused=False)
        await world.completed(last)
    assert world.ran == ["last"]


def test_a_pause_survives_a_restart_of_the_server(tmp_path: Path) -> None:
    async def paused(url: str, *, pausing: bool) -> list[str]:
        store_client = StoreClient(load({}, redis_url=url))
        if pausing:
            await store_client.producer.set_paused("mail", paused=True)
        stats = await store_client.inspector.stats()
        await store_client.close()
        return list(stats.paused)

    for pausing in (True, False):
        server = EmbeddedServer(msgspec.structs.replace(load({}), data_dir=str(tmp_path)))
        server.start()
        try:
            assert asyncio.run(paused(server.url, pausing=pausing)) == ["mail"]
        finally:
            server.stop()
