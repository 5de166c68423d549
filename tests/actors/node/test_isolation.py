"""A handler can hurt only itself: whatever it does to its task, its context or the loop, its neighbours see nothing."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import structlog

from ironforge import Context
from ironforge.job.record import JobState
from tests.actors.node.kit import World, until

NEIGHBOURS = 6
QUICK_ONES = 500
# Of an innocent neighbour; a cancellation that comes late comes within it.
SLOW_SECONDS = 0.05
LATE_SECONDS = 0.01

tenant = contextvars.ContextVar("tenant", default="nobody")


# --------------------------------------------------------------------------- what handlers do


def this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


async def leave() -> None:
    sys.exit(5)


async def fall() -> None:
    raise KeyboardInterrupt


async def in_a_gather() -> None:
    await asyncio.gather(leave(), asyncio.sleep(0))


async def in_a_task_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(leave())


async def in_a_task_that_is_only_waited_for() -> None:
    await asyncio.wait([asyncio.create_task(leave())])


async def in_a_task_that_nobody_waits_for() -> None:
    asyncio.create_task(leave())  # noqa: RUF006 - this is the fault
    await asyncio.Event().wait()


async def in_a_task_of_a_task() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(in_a_gather())


async def in_a_task_with_a_context_of_its_own() -> None:
    await asyncio.create_task(leave(), context=contextvars.Context())


async def from_a_thread() -> None:
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(leave(), loop).exception())


async def in_a_loop_of_its_own() -> None:
    await asyncio.to_thread(lambda: asyncio.run(in_a_gather()))


EXITS = [
    in_a_gather,
    in_a_task_group,
    in_a_task_that_is_only_waited_for,
    in_a_task_that_nobody_waits_for,
    in_a_task_of_a_task,
    in_a_task_with_a_context_of_its_own,
    from_a_thread,
    in_a_loop_of_its_own,
]


async def cancel_and_return() -> int:
    this_task().cancel()
    return 1


async def cancel_take_it_back_and_return() -> int:
    this_task().cancel()
    this_task().uncancel()
    return 1


async def cancel_often_and_wait() -> None:
    for _ in range(3):
        this_task().cancel()
    await asyncio.sleep(600)


async def be_cancelled_by_a_helper() -> None:
    task = this_task()

    async def helper() -> None:
        task.cancel()

    async with asyncio.TaskGroup() as group:
        group.create_task(helper())
        await asyncio.sleep(600)


async def be_cancelled_after_the_end() -> int:
    asyncio.get_running_loop().call_later(LATE_SECONDS, this_task().cancel)
    return 1


async def leave_a_timeout_open() -> int:
    await asyncio.timeout(LATE_SECONDS).__aenter__()
    return 1


# Whether the attempt fails, or completes: never does it wait for a time limit.
CANCELLATIONS: dict[Callable[[], Coroutine[Any, Any, Any]], bool] = {
    cancel_and_return: False,
    cancel_take_it_back_and_return: False,
    cancel_often_and_wait: True,
    be_cancelled_by_a_helper: True,
    be_cancelled_after_the_end: False,
    leave_a_timeout_open: False,
}

Misbehaviour = Callable[[], Coroutine[Any, Any, Any]]


async def beside_neighbours(world: World, misbehave: Misbehaviour) -> str:
    """Runs it several times, each right before a job that is innocent and slow; the id of the first.

    Quick ones come first: then jobs are handed out several at a time, and share a task where they may.
    """
    world.change(concurrency=1)
    world.forge.job("misbehave", max_retries=0)(misbehave)

    @world.forge.job("innocent")
    async def innocent(context: Context) -> int:
        await asyncio.sleep(SLOW_SECONDS)
        return context.attempt

    await world.forge.submit_many("note", [None] * QUICK_ONES)
    pairs = [(await world.submit("misbehave"), await world.submit("innocent")) for _ in range(NEIGHBOURS)]
    async with world.node():
        views = [await world.completed(neighbour) for _, neighbour in pairs]
        await until(lambda: ended(world, pairs[0][0]), "the one that misbehaves to end")
    assert {(view.job.result, view.job.errors, view.job.crashes) for view in views} == {(b"1", (), 0)}
    return pairs[0][0]


async def ended(world: World, job_id: str) -> bool:
    return await world.state(job_id) in (JobState.COMPLETED, JobState.DEAD)


@pytest.mark.parametrize("misbehave", EXITS, ids=lambda function: function.__name__)
async def test_a_task_of_a_handler_that_exits_fails_the_attempt_alone(world: World, misbehave: Misbehaviour) -> None:
    view = await world.get(await beside_neighbours(world, misbehave))
    assert [(error.type, error.message) for error in view.job.errors] == [("SystemExit", "5")]


async def test_an_interrupt_of_the_keyboard_is_an_exit_like_any_other(world: World) -> None:
    async def misbehave() -> None:
        await asyncio.gather(fall())

    view = await world.get(await beside_neighbours(world, misbehave))
    assert [error.type for error in view.job.errors] == ["KeyboardInterrupt"]


async def test_a_task_left_behind_that_exits_is_told_with_its_job(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    let_go = asyncio.Event()
    tasks: list[asyncio.Task[None]] = []

    async def straggler() -> None:
        await let_go.wait()
        sys.exit(5)

    @world.forge.job("forgetful")
    async def forgetful() -> None:
        tasks.append(asyncio.create_task(straggler()))

    async with world.node():
        view = await world.completed(await world.submit("forgetful"))
        let_go.set()
        await asyncio.wait(tasks)
        await world.completed(await world.submit("note"))
        tasks.clear()

    assert view.job.errors == ()
    told = [record.getMessage() for record in caplog.records if "left behind" in record.getMessage()]
    assert told == ["a task that a job of kind forgetful had left behind raised SystemExit: 5"]


@pytest.mark.parametrize(("misbehave", "fails"), CANCELLATIONS.items(), ids=lambda what: getattr(what, "__name__", ""))
async def test_a_cancellation_of_the_own_task_ends_the_own_job_at_once(
    world: World, misbehave: Misbehaviour, fails: bool
) -> None:
    view = await world.get(await beside_neighbours(world, misbehave))
    errors = [error.type for error in view.job.errors]
    assert errors == (["asyncio.exceptions.CancelledError"] if fails else [])


async def test_a_handler_finds_no_task_of_its_node_or_of_another_handler(world: World) -> None:
    let_go, before = asyncio.Event(), asyncio.all_tasks()

    @world.forge.job("wait")
    async def wait() -> None:
        await asyncio.gather(let_go.wait())

    @world.forge.job("look")
    async def look() -> list[str]:
        return [str(task) for task in asyncio.all_tasks() - before]

    async with world.node():
        waiting = await world.submit("wait")
        await world.reached(waiting, JobState.RUNNING)
        view = await world.completed(await world.submit("look"))
        let_go.set()
        await world.completed(waiting)
    assert view.job.result == b"[]"


# --------------------------------------------------------------------------- context


@pytest.mark.parametrize("executor", ["async", "thread"])
async def test_no_run_sees_what_another_one_has_set(world: World, executor: str) -> None:
    world.change(concurrency=1)
    seen: list[tuple[str, dict[str, Any]]] = []

    def mark() -> None:
        seen.append((tenant.get(), structlog.contextvars.get_contextvars()))
        tenant.set("acme")
        structlog.contextvars.bind_contextvars(tenant="acme")

    async def on_loop() -> None:
        mark()

    @world.forge.middleware
    async def marking(context: Context, call_next: Any) -> Any:
        mark()
        return await call_next()

    world.forge.job("mark")(on_loop if executor == "async" else mark)
    tenant.set("base")
    async with world.node():
        tenant.set("later")
        for job_id in await world.forge.submit_many("mark", [None] * NEIGHBOURS):
            await world.completed(job_id)
    # The handler sees what its middleware set, and both what was there before the node.
    assert seen == [("base", {}), ("acme", {"tenant": "acme"})] * NEIGHBOURS
