"""A real node whose handlers say that the target of a limit throttles, of all sorts."""

from __future__ import annotations

import asyncio

import pytest

from ironforge import Throttled, Use
from ironforge.handlers.forge import ExecutorName
from tests.actors.node import throttled_handlers
from tests.actors.node.kit import World
from tests.support.waiting import until


def register(world: World, sort: ExecutorName) -> None:
    world.forge.limit("target", concurrency=4)
    uses = [Use("target", key="key")]
    if sort == "process":
        world.forge.job("call", executor="process", limits=uses)(throttled_handlers.call)
    elif sort == "thread":

        @world.forge.job("call", limits=uses)
        def call_in_thread(key: str, refused: bool) -> str:
            return throttled_handlers.call(key, refused)
    else:

        @world.forge.job("call", limits=uses)
        async def call(key: str, refused: bool) -> str:
            return throttled_handlers.call(key, refused)


@pytest.mark.parametrize("sort", ["async", "thread", "process"])
async def test_a_handler_of_any_sort_stops_its_key(world: World, sort: ExecutorName) -> None:
    register(world, sort)
    limits = world.cluster.store_client.limits
    async with world.node():
        job_id = await world.submit("call", {"key": "a", "refused": True})

        async def stopped() -> bool:
            return (await limits.key("target", "a")).stopped_ms is not None

        await until(stopped, "the key to be stopped")
        view = await world.get(job_id)
        assert (view.state, view.job.attempt) == ("queued", 0)
        assert view.waiting_for is not None
        assert view.waiting_for.code == "limit"
        await world.completed(await world.submit("call", {"key": "b", "refused": False}))
        await world.cancel(job_id)


async def test_a_job_that_was_throttled_goes_first_and_alone_when_the_stop_is_over(world: World) -> None:
    world.forge.limit("target", concurrency=4)
    ran: list[str] = []
    at_once = 0
    refusals = ["first"]

    @world.forge.job("call", limits=[Use("target")])
    async def call(name: str) -> None:
        nonlocal at_once
        if name in refusals:
            refusals.remove(name)
            raise Throttled("target", 0.05)
        at_once += 1
        ran.append(f"{name} with {at_once}")
        await asyncio.sleep(0)
        at_once -= 1

    async with world.node():
        first = await world.submit("call", {"name": "first"})
        await until(lambda: not refusals, "the first to be refused")
        others = [await world.submit("call", {"name": "other"}) for _ in range(3)]
        for job_id in (first, *others):
            await world.completed(job_id)
    assert ran[0] == "first with 1"
    assert (await world.get(first)).job.errors == ()
