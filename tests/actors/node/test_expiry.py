"""Jobs that expire, and a node that has them: what it has not started in time it never starts."""

from __future__ import annotations

import time

import pytest

from ironforge.job.expiry import EXPIRED
from ironforge.job.record import JobState, format_id, new_id, parse_id
from ironforge.redis.keys import Keys
from ironforge.redis.shards import shards_of
from tests.actors.node.kit import QUICK, World, until


def totals(world: World, *names: str) -> list[int]:
    """Of all shards."""
    counted = [world.cluster.raw.hgetall(keys.totals) for keys in shards_of(world.settings)]
    return [sum(int(each.get(name.encode(), 0)) for each in counted) for name in names]


async def ended(world: World, job_id: str) -> str:
    """Why it was cancelled, once that is stored."""

    async def is_gone() -> bool:
        return not any(world.cluster.raw.hexists(keys.index, parse_id(job_id)) for keys in shards_of(world.settings))

    await until(is_gone, f"job {job_id} to end")
    view = await world.get(job_id)
    assert view.state is JobState.CANCELLED
    return view.job.reason


async def expired(world: World) -> None:
    """All moments are past, by the server's clock."""
    await until(lambda: all(server_ms(world) > moment for moment in moments(world)), "the jobs to expire")


def moments(world: World) -> list[float]:
    found = [world.cluster.raw.zrange(keys.expiries, 0, -1, withscores=True) for keys in shards_of(world.settings)]
    return [moment for each in found for _, moment in each]


def server_ms(world: World) -> int:
    seconds, micros = world.cluster.raw.time()
    return int(seconds * 1000 + micros // 1000)


def in_one_shard() -> str:
    return format_id(new_id(0))


async def test_what_was_fetched_in_time_and_not_started_never_starts(world: World) -> None:
    world.change(concurrency=1)
    held: list[int] = []

    @world.forge.job("blocks")
    async def blocks() -> None:
        """It keeps its node from handing back what it has fetched, until that has expired."""
        held.append(sum(map(pending, shards_of(world.settings))))
        while not all(server_ms(world) > moment for moment in moments(world)):
            time.sleep(0.001)  # noqa: ASYNC251 - it is to block

    # All in one shard: between shards nothing says which of them runs first.
    quick = [world.forge.prepare("note", "quick", id=in_one_shard()) for _ in range(500)]

    def pending(keys: Keys) -> int:
        groups = [world.cluster.raw.xinfo_groups(key) for key in world.cluster.raw.keys(keys.stream("*"))]
        return sum(group["pending"] for each in groups for group in each)

    late = [world.forge.prepare("note", "late", id=in_one_shard(), expires_in_seconds=0.1) for _ in range(64)]
    blocking = world.forge.prepare("blocks", id=in_one_shard())
    ids = await world.forge.submit_many("note", [*quick, blocking, *late])
    async with world.node():
        for job_id in ids[-64:]:
            assert await ended(world, job_id) == EXPIRED
        await until(lambda: totals(world, "completed") == [501], "the others to complete")
    assert held[0] > 1
    assert "late" not in world.ran
    assert totals(world, "expired", "cancelled") == [64, 64]


async def test_a_node_cancels_what_expires_while_it_waits_elsewhere(world: World) -> None:
    async with world.node():
        scheduled = await world.submit("note", "x", delay_seconds=0.02, expires_in_seconds=0.05, queue="unserved")
        declined = await world.submit("nobody.knows", expires_in_seconds=0.05)
        assert await ended(world, scheduled) == EXPIRED
        assert await ended(world, declined) == EXPIRED
    assert world.ran == []
    assert totals(world, "expired") == [2]


async def test_one_that_has_started_runs_its_retries_however_late(world: World) -> None:
    runs: list[int] = []

    @world.forge.job("again", backoff=QUICK, max_retries=3)
    async def again() -> int:
        runs.append(1)
        if len(runs) == 1:
            await expired(world)
        if len(runs) < 3:
            raise ValueError("again")
        return len(runs)

    async with world.node():
        job_id = await world.submit("again", expires_in_seconds=10)
        await until(lambda: runs, "it to start")
        for keys in shards_of(world.settings):
            world.cluster.raw.zadd(keys.expiries, {parse_id(job_id): 1}, xx=True)
        view = await world.completed(job_id)
    assert view.job.result == b"3"
    assert view.job.expires_ms == 0
    assert totals(world, "expired") == [0]


@pytest.mark.one_shard
async def test_it_goes_by_the_clock_of_the_server(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's may be an hour behind."""
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - 3_600_000_000_000)
    job_id = await world.submit("note", "late", expires_in_seconds=0.001)
    await expired(world)
    async with world.node():
        assert await ended(world, job_id) == EXPIRED
        await world.completed(await world.submit("note", "next", expires_in_seconds=600))
    assert world.ran == ["next"]
