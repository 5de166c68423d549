"""A real node whose jobs wait, for a time or an event: they leave it, and go on where they were."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ironforge import ChildFailed, ChildrenFailed, Context, EventTimeout
from ironforge.handlers.forge import ExecutorName
from ironforge.job.record import JobState, parse_id
from ironforge.redis.shards import shards_of
from tests.actors.node.kit import QUICK, Gate, World
from tests.actors.node.steps import step_handlers
from tests.actors.node.steps.kit import journal, register_as
from tests.support.waiting import until, whole_lines

DAY_MS = 86_400_000


async def waits(world: World, job_id: str) -> None:
    """Until this job does."""
    parsed = parse_id(job_id)

    def is_there() -> bool:
        return any(
            world.cluster.raw.zscore(keys.waiting(what), parsed) is not None
            for keys in shards_of(world.settings)
            for what in ("sleep", "event", "children")
        )

    await until(is_there, f"job {job_id} to wait")


async def send(world: World, name: str, payload: bytes) -> bool:
    return await world.cluster.store_client.events.send(name, payload, DAY_MS)


@pytest.mark.parametrize("sort", ["thread", "process"])
async def test_blocking_handlers_sleep_as_well(world: World, sort: ExecutorName, tmp_path: Path) -> None:
    register_as(world, sort, "naps", step_handlers.naps)
    notes = tmp_path / "notes"
    async with world.node():
        view = await world.completed(await world.submit("naps", {"path": str(notes), "seconds": 0.05}))
    assert whole_lines(notes) == ["before", "after"]
    assert view.job.fence == 1


async def test_a_sleep_takes_no_worker_no_attempt_and_its_time(world: World) -> None:
    world.change(concurrency=1)
    runs: list[int] = []

    @world.forge.job("order", timeout_seconds=5, max_retries=0)
    async def order(context: Context) -> int:
        runs.append(context.attempt)
        await context.sleep("nap", 3600)
        return context.attempt

    async with world.node():
        job_id = await world.submit("order")
        await waits(world, job_id)
        await world.completed(await world.submit("note", "beside it"))
        assert runs == [1]
        for keys in shards_of(world.settings):
            for waiting in world.cluster.raw.zrange(keys.waiting("sleep"), 0, -1):
                world.cluster.raw.zadd(keys.waiting("sleep"), {waiting: 1})
        view = await world.completed(job_id)
    assert view.job.result == b"1"
    assert (view.job.attempt, view.job.fence, view.job.wait) == (0, 1, None)
    assert runs == [1, 1]


async def test_an_event_ends_a_wait_and_is_the_same_in_each_run(world: World) -> None:
    seen: list[Any] = []

    @world.forge.job("order", backoff=QUICK)
    async def order(context: Context) -> None:
        seen.append(await context.event("approved:42"))
        if context.attempt == 1:
            raise ConnectionError

    async with world.node():
        job_id = await world.submit("order")
        await waits(world, job_id)
        assert await send(world, "approved:42", b'{"by":"ada"}')
        await world.completed(job_id)
    assert seen == [{"by": "ada"}] * 2


async def test_an_event_that_came_before_ends_it_at_once(world: World) -> None:
    @world.forge.job("order")
    async def order(context: Context) -> Any:
        return await context.event("approved:42", name="approval")

    async with world.node():
        assert await send(world, "approved:42", b"1")
        assert not await send(world, "approved:42", b"2")
        job_id = await world.submit("order")
        view = await world.completed(job_id)
    assert view.job.result == b"1"
    assert list(journal(world, job_id)) == ["approval"]


async def test_an_event_that_does_not_come_in_time_raises_in_each_run(world: World) -> None:
    seen: list[str] = []

    @world.forge.job("order", backoff=QUICK)
    async def order(context: Context) -> str:
        try:
            await context.event("approved:43", timeout_seconds=0.05)
        except EventTimeout as error:
            seen.append(str(error))
        if context.attempt == 1:
            raise ConnectionError
        return str(await context.step("refund", lambda: "refunded"))

    async with world.node():
        view = await world.completed(await world.submit("order"))
    assert view.job.result == b'"refunded"'
    assert len(seen) == 2
    assert "event approved:43 did not come within" in seen[0]


async def test_a_waiting_job_is_cancelled_at_once(world: World) -> None:
    @world.forge.job("order")
    async def order(context: Context) -> None:
        await context.step("charge", str)
        await context.event("approved:42")

    async with world.node():
        job_id = await world.submit("order")
        await waits(world, job_id)
        assert await world.cancel(job_id) is JobState.CANCELLED
        await world.reached(job_id, JobState.CANCELLED)


async def test_a_job_that_was_told_to_stop_as_it_parked_is_cancelled(world: World) -> None:
    gate = Gate()

    @world.forge.job("order")
    def order(context: Context) -> None:
        asyncio.run(gate.pass_through())
        context.sleep("nap", 3600)

    async with world.node():
        job_id = await world.submit("order")
        await until(lambda: gate.entered, "the job to run")
        await world.cancel(job_id)
        gate.open()
        await world.reached(job_id, JobState.CANCELLED)


@pytest.mark.parametrize("sort", ["thread", "process"])
async def test_a_handler_that_swallows_what_parks_it_has_failed(world: World, sort: ExecutorName) -> None:
    register_as(world, sort, "swallows", step_handlers.swallows, max_retries=0)
    async with world.node():
        view = await world.dead(await world.submit("swallows"))
    assert view.job.errors[-1].type == "Parked"
    assert "the handler caught what parks its job" in view.job.errors[-1].message


async def test_middleware_that_swallows_it_has_failed_the_job(world: World) -> None:
    @world.forge.middleware
    async def curious(_: Context, call_next: Any) -> Any:
        try:
            return await call_next()
        except BaseException:
            return "caught"

    register_as(world, "process", "naps", step_handlers.naps, max_retries=0)
    async with world.node():
        view = await world.dead(await world.submit("naps", {"path": "/dev/null", "seconds": 3600}))
    assert view.job.errors[-1].type == "Parked"


async def test_hooks_hear_of_a_wait(world: World) -> None:
    seen: list[Any] = []

    @world.forge.job("order")
    async def order(context: Context) -> None:
        await context.event("approved:42", timeout_seconds=60, name="approval", key=7)

    world.forge.on("attempt_waiting", seen.append)
    async with world.node():
        job_id = await world.submit("order")
        await waits(world, job_id)
        await until(lambda: seen, "the hook to be called")
        await world.cancel(job_id)
    (event,) = seen
    assert (event.waits_for, event.step, event.awaited, event.attempt) == ("event", "approval/7", "approved:42", 1)
    assert event.until is not None


async def test_a_waiting_job_goes_on_in_another_node(world: World) -> None:
    calls: list[str] = []

    @world.forge.job("order")
    async def order(context: Context) -> Any:
        await context.step("charge", calls.append, "charge")
        return await context.event("approved:44")

    async with world.node():
        job_id = await world.submit("order")
        await waits(world, job_id)
    assert await send(world, "approved:44", b'"yes"')
    async with world.node():
        view = await world.completed(job_id)
    assert view.job.result == b'"yes"'
    assert calls == ["charge"]


# ------------------------------------------------------------------------------------------------- children


async def test_children_give_their_results_in_order(world: World) -> None:
    @world.forge.job("scale")
    async def scale(photo: int) -> int:
        return photo * photo

    @world.forge.job("album")
    async def album(context: Context) -> list[Any]:
        scaled = await context.map("scale", "scale", [{"photo": photo} for photo in range(20)], priority="high")
        both = await context.gather("two", [("note", 1), ("scale", {"photo": 7}, {"queue": "default"})])
        return [sum(scaled), *both, await context.gather("none", [])]

    async with world.node():
        view = await world.completed(await world.submit("album"))
    assert view.job.result == b"[2470,1,49,[]]"


@pytest.mark.parametrize("sort", ["thread", "process"])
async def test_blocking_handlers_have_children(world: World, sort: ExecutorName) -> None:
    register_as(world, sort, "family", step_handlers.family)
    async with world.node():
        view = await world.completed(await world.submit("family", {"size": 3}))
    assert view.job.result == b"[[0,1,2],[5]]"


async def test_children_that_failed_are_named(world: World) -> None:
    told: list[Any] = []

    @world.forge.job("fail", max_retries=0)
    async def fail() -> None:
        raise ConnectionError("the network is down")

    @world.forge.job("album", max_retries=0)
    async def album(context: Context) -> None:
        told.extend(await context.gather("some", [("note", 1), ("fail", None)], return_exceptions=True))
        try:
            await context.gather("all", [("fail", None), ("note", 2)])
        except ChildrenFailed as error:
            told.append(error)
            raise

    async with world.node():
        view = await world.dead(await world.submit("album"))
    assert told[-3] == 1
    assert isinstance(told[-2], ChildFailed)
    assert (told[-2].index, told[-2].status) == (1, "dead")
    assert [one.index for one in told[-1].failed] == [0]
    assert view.job.errors[-1].type == "ironforge.steps.errors.ChildrenFailed"
    assert "1 of the 2 children of step all has no result: child 0, job " in view.job.errors[-1].message


@pytest.mark.one_shard
@pytest.mark.parametrize(
    ("children", "words"),
    [
        ([("note",)], "child 0 is ('note',): give (kind, payload)"),
        ([("note", 1, {"prioriti": "low"})], "no option 'prioriti': did you mean 'priority'"),
        ([("note", {1, object()})], "payload"),
        ([("a b", 1)], "kind 'a b' is not a name"),
    ],
)
async def test_what_is_no_child_fails_the_attempt(world: World, children: list[Any], words: str) -> None:
    @world.forge.job("album", max_retries=0)
    async def album(context: Context) -> None:
        await context.gather("some", children)

    async with world.node():
        view = await world.dead(await world.submit("album"))
    assert words in view.job.errors[-1].message
