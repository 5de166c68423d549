"""A real node whose handlers say that the target of a limit throttles, of all sorts."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from ironforge import Context, Rate, Throttled, Use
from ironforge.handlers.forge import ExecutorName
from tests.actors.node import throttled_handlers
from tests.actors.node.kit import Gate, World
from tests.support.waiting import until


def register_as(world: World, sort: ExecutorName, kind: str, function: Callable[..., Any], **options: Any) -> None:
    """A handler of this sort that does what `function` does."""

    @functools.wraps(function)
    async def on_loop(*args: Any, **given: Any) -> Any:
        return function(*args, **given)

    if sort == "async":
        world.forge.job(kind, **options)(on_loop)
    else:
        world.forge.job(kind, executor=sort, **options)(function)


@pytest.mark.parametrize("sort", ["async", "thread", "process"])
async def test_a_handler_of_any_sort_stops_its_key(world: World, sort: ExecutorName) -> None:
    world.forge.limit("target", concurrency=4)
    register_as(world, sort, "call", throttled_handlers.call, limits=[Use("target", key="key")])
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


@pytest.mark.parametrize("sort", ["async", "thread", "process"])
async def test_a_handler_of_any_sort_tells_its_context(world: World, sort: ExecutorName) -> None:
    world.forge.limit("target", concurrency=4)
    world.forge.limit("tokens", rate=Rate(10, per_seconds=3600, burst=10))
    uses = [Use("target", key="key"), Use("tokens", key="key", units=8)]
    register_as(world, sort, "tell", throttled_handlers.tell, limits=uses)
    limits = world.cluster.store_client.limits
    async with world.node():
        done = await world.completed(await world.submit("tell", {"key": "a"}))

        async def corrected() -> bool:
            return (await limits.key("tokens", "a")).remaining == 7

        await until(corrected, "the units to be corrected")
    assert done.job.errors == ()
    assert (await limits.key("target", "a")).stopped_ms is not None


@pytest.mark.parametrize("sort", ["async", "thread", "process"])
async def test_a_limit_that_the_job_does_not_use_is_told_to_the_handler(world: World, sort: ExecutorName) -> None:
    world.forge.limit("target", concurrency=4)
    register_as(world, sort, "tell", throttled_handlers.tell_of_another, limits=[Use("target")], max_retries=0)
    async with world.node():
        view = await world.dead(await world.submit("tell", {}))
    assert view.job.errors[-1].type == "ironforge.errors.LimitNotFound"
    assert view.job.errors[-1].message == "this job uses no limit 'targte': it uses target"


async def test_a_key_is_stopped_as_soon_as_that_was_awaited_and_the_run_goes_on(world: World) -> None:
    world.forge.limit("target", concurrency=4)
    gate = Gate()

    @world.forge.job("call", limits=[Use("target")])
    async def call(context: Context) -> None:
        await context.throttle("target", retry_after=timedelta(hours=1))
        await gate.pass_through()

    limits = world.cluster.store_client.limits
    async with world.node():
        job_id = await world.submit("call", {})
        await until(lambda: gate.entered, "the handler to go on")
        stands = await limits.key("target")
        gate.open()
        await world.completed(job_id)
    assert stands.stopped_ms is not None
    assert stands.running == 1


async def test_a_stop_that_nobody_waited_for_is_written_all_the_same(world: World) -> None:
    """The handler fails, or is out of time, in the moment in which it tells."""
    world.forge.limit("target", concurrency=4)

    @world.forge.job("call", limits=[Use("target")], max_retries=0)
    async def call(context: Context) -> None:
        context.throttle("target", retry_after=3600)
        raise ValueError("no")

    limits = world.cluster.store_client.limits
    async with world.node():
        await world.dead(await world.submit("call", {}))

        async def stopped() -> bool:
            return (await limits.key("target")).stopped_ms is not None

        await until(stopped, "the key to be stopped")


async def test_what_is_no_time_and_no_number_is_told_to_the_handler(world: World) -> None:
    world.forge.limit("target", concurrency=4)
    told: list[str] = []

    @world.forge.job("call", limits=[Use("target")])
    async def call(context: Context) -> None:
        for retry_after in (0, -1, float("nan"), 31_536_001, "Fri, 27 Nov 2026 05:00:00 GMT"):
            with pytest.raises(ValueError, match=r"^retry_after ") as refused:
                context.throttle("target", retry_after=retry_after)  # type: ignore[arg-type]
            told.append(str(refused.value))
        for units in (-1, 1.5, 1_000_000_001):
            with pytest.raises(ValueError, match=r"^units ") as refused:
                context.used("target", units)  # type: ignore[arg-type]
            told.append(str(refused.value))

    async with world.node():
        await world.completed(await world.submit("call", {}))
    assert told[4] == "retry_after must be a number of seconds, not 'Fri, 27 Nov 2026 05:00:00 GMT'"
    assert len(told) == 8
    assert (await world.cluster.store_client.limits.key("target")).stopped_ms is None
