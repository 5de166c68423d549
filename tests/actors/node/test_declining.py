"""A node that does not know a kind leaves its jobs to those that do."""

from __future__ import annotations

import asyncio
from typing import Any

from ironforge import Forge
from ironforge.job.record import JobState
from ironforge.store.inspector.census import TOTALS
from tests.actors.node.kit import World
from tests.support.waiting import until


def newer(world: World) -> Forge:
    forge = Forge(world.settings)

    @forge.job("note")
    async def note(payload: Any) -> Any:
        return payload

    @forge.job("new")
    async def new(payload: Any) -> Any:
        world.ran.append(payload)
        return payload

    return forge


async def is_declined(world: World, job_id: str) -> bool:
    return (await world.get(job_id)).waiting_for is not None


async def test_a_job_of_an_unknown_kind_waits_for_a_node_that_knows_it(world: World) -> None:
    async with world.node():
        job_id = await world.submit("new", 1)
        await until(lambda: is_declined(world, job_id), "the job to be declined")
        assert await world.state(job_id) is JobState.QUEUED
        async with world.node(newer(world)):
            view = await world.completed(job_id)

    assert world.ran == [1]
    assert (view.job.attempt, view.job.crashes, view.job.fence, view.job.errors) == (0, 0, 0, ())


async def test_an_idle_node_hears_of_it(world: World) -> None:
    async with world.node(), world.node(newer(world)):
        jobs = [await world.submit("new", number) for number in range(200)]
        for job_id in jobs:
            await world.completed(job_id)

    assert sorted(world.ran) == list(range(200))


async def test_an_old_node_declines_each_job_once(world: World) -> None:
    async with world.node() as old:
        jobs = [await world.submit("new", number) for number in range(50)]
        for job_id in jobs:
            await until(lambda job_id=job_id: is_declined(world, job_id), "all to be declined")
        async with world.node(newer(world)):
            for job_id in jobs:
                await world.completed(job_id)
        page = old.metrics.exposition()[0].decode()

    assert 'ironforge_jobs_declined_total{kind="new"} 50.0' in page


async def test_declined_jobs_are_no_attempts(world: World) -> None:
    async with world.node() as old:
        job_id = await world.submit("new")
        await until(lambda: is_declined(world, job_id), "the job to be declined")
        page = old.metrics.exposition()[0].decode()

    assert 'kind="new"' not in "".join(line for line in page.splitlines() if "declined" not in line)
    assert (await world.cluster.store_client.inspector.stats()).totals == dict.fromkeys(TOTALS[1:], 0) | {
        "submitted": 1
    }


async def test_one_that_no_node_serves_goes_to_the_dead_letter(world: World) -> None:
    world.change(unserved_seconds=0.05)
    async with world.node():
        job_id = await world.submit("new")
        view = await world.dead(job_id)
    assert view.job.reason.startswith("unserved: for 0.05 s no node that serves queue 'default' knew the kind 'new'")
    assert (view.job.attempt, view.job.errors) == (0, ())
    totals = (await world.cluster.store_client.inspector.stats()).totals
    assert (totals["dead"], totals["failed"], totals["poison"]) == (1, 0, 0)

    await world.retry(job_id, reset_retry_count=False)
    async with world.node(newer(world)):
        await world.completed(job_id)


async def test_one_that_drains_declines_what_it_has(world: World) -> None:
    async with world.node():
        jobs = [await world.submit("new", number) for number in range(20)]
    async with world.node(newer(world)):
        await asyncio.gather(*map(world.completed, jobs))
    assert sorted(world.ran) == list(range(20))
