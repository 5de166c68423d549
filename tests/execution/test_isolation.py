"""A loop goes on whatever handlers raise in it: in tasks, where the job is known, and in callbacks, where it is not."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from ironforge.execution import isolation
from ironforge.job.context import Context, running
from ironforge.job.record import new_id
from ironforge.job.tracebacks import RemoteFailure

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Run:
    """A run of a job, that may be over."""

    def __init__(self, *, is_over: bool = False) -> None:
        self.context = Context(new_id(), "email.send", 1, 0, 30.0)
        self.errors: list[BaseException] = []
        self._is_over = is_over

    def fail(self, error: BaseException) -> bool:
        self.errors.append(error)
        return not self._is_over


@pytest.fixture(params=LOOPS.values(), ids=LOOPS)
def contained(request: pytest.FixtureRequest) -> Any:
    """Runs a coroutine in a loop that contains tasks."""

    def run(main: Callable[[], Any]) -> Any:
        async def started() -> Any:
            isolation.contain_tasks(asyncio.get_running_loop())
            isolation.contain_tasks(asyncio.get_running_loop())  # which nodes that share a loop do
            return await main()

        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(started())

    return run


async def leave() -> None:
    sys.exit(5)


@pytest.mark.parametrize("exit_", [SystemExit(5), KeyboardInterrupt()])
def test_a_task_made_in_a_run_fails_the_run_and_ends_no_loop(contained, exit_):
    run = Run()

    async def end() -> None:
        raise exit_

    async def main() -> list[Any]:
        running.set(run)
        return await asyncio.gather(end(), asyncio.create_task(end(), name="named"), return_exceptions=True)

    words = [(type(error), error.type_name) for error in contained(main)]
    assert words == [(RemoteFailure, type(exit_).__name__)] * 2
    assert run.errors == [exit_] * 2


def test_a_task_that_exits_as_it_is_cancelled_is_contained_too(contained):
    run = Run()

    async def stubborn() -> None:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            sys.exit(5)

    async def main() -> None:
        running.set(run)
        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    contained(main)
    assert [error.code for error in run.errors] == [5]


def test_a_task_that_is_cancelled_before_it_began_leaves_no_warning(contained):
    async def main() -> bool:
        running.set(Run())
        task = asyncio.create_task(leave())
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert contained(main)
    gc.collect()


def test_a_task_shows_the_coroutine_inside(contained):
    async def main() -> str:
        running.set(Run())
        task = asyncio.create_task(asyncio.sleep(0))
        shown = repr(task)
        await task
        return shown

    assert "coro=<sleep() " in contained(main)


def test_tasks_of_nobody_are_as_they_were(contained):
    async def main() -> Any:
        task = asyncio.create_task(asyncio.sleep(0, "slept"))
        return type(task.get_coro()).__name__, await task

    assert contained(main) == ("coroutine", "slept")


def test_a_run_that_is_over_is_told_of_what_it_left_behind(contained, caplog):
    async def main() -> None:
        running.set(Run(is_over=True))
        await asyncio.wait([asyncio.create_task(leave())])
        gc.collect()

    contained(main)
    assert caplog.messages == ["a task that a job of kind email.send had left behind raised SystemExit: 5"]


def test_what_nobody_awaits_is_told_in_the_name_of_its_job(contained, caplog):
    run, told = Run(), []

    class Filter:
        def filter(self, _: Any) -> bool:
            told.append(running.get(None))
            return True

    async def fail() -> None:
        raise ValueError("nobody awaits this")

    async def main() -> None:
        running.set(run)
        await asyncio.wait([asyncio.create_task(fail())])
        running.set(Run())
        gc.collect()

    caplog.handler.addFilter(Filter())
    contained(main)
    assert "nobody awaits this" in caplog.text
    assert told == [run]


def test_a_task_factory_that_was_there_before_makes_the_tasks():
    made: list[Any] = []

    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        made.append(coro)
        return asyncio.Task(coro, loop=loop, **options)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(factory)
        isolation.contain_tasks(loop)
        running.set(Run())
        await asyncio.gather(leave(), return_exceptions=True)

    asyncio.run(main())
    assert "leave" in [coro.__name__ for coro in made]


# --------------------------------------------------------------------------- callbacks


def test_what_callbacks_raise_ends_neither_the_loop_nor_the_program(caplog):
    async def main() -> str:
        loop = asyncio.get_running_loop()
        loop.call_soon(sys.exit, 1)
        loop.call_later(0.001, sys.exit, 2)
        future = loop.create_future()
        future.add_done_callback(lambda _: sys.exit(3))
        future.set_result(None)
        await asyncio.gather(asyncio.Task(leave(), loop=loop), return_exceptions=True)  # past every factory
        await asyncio.sleep(0.01)
        return "done"

    assert isolation.run(main()) == "done"
    assert "a callback raised what would have ended this process" in caplog.text


def test_signals_are_heard_after_a_callback_has_exited():
    async def main() -> str:
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, told.set)
        loop.call_soon(sys.exit, 1)
        loop.call_later(0.001, os.kill, os.getpid(), signal.SIGTERM)
        await told.wait()
        return "told"

    assert isolation.run(main()) == "told"


def test_a_program_that_does_not_handle_the_keyboard_yet_ends_by_it():
    async def main() -> None:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(600)

    with pytest.raises(KeyboardInterrupt):
        isolation.run(main())


def test_what_the_program_raises_itself_comes_out():
    with pytest.raises(SystemExit):
        isolation.run(leave())


def test_what_is_raised_as_the_loop_closes_does_not_change_the_end(caplog):
    async def main() -> str:
        async def straggler() -> None:
            try:
                await asyncio.sleep(600)
            finally:
                sys.exit(5)

        main.task = asyncio.create_task(straggler())  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        return "done"

    assert isolation.run(main()) == "done"
    assert "otherwise" in caplog.text


def test_a_program_that_has_ended_ends_so_whatever_a_callback_raises_in_the_same_turn():
    async def main() -> str:
        asyncio.get_running_loop().call_soon(sys.exit, 2)
        return "done"

    assert isolation.run(main()) == "done"


# --------------------------------------------------------------------------- others' tasks


def test_a_run_finds_neither_the_tasks_of_its_node_nor_those_of_other_runs(contained):
    async def look() -> set[Any]:
        return asyncio.all_tasks()

    async def main() -> tuple[set[Any], set[Any]]:
        strangers = asyncio.create_task(asyncio.sleep(600))
        with isolation.hidden_tasks():
            own = asyncio.create_task(asyncio.wait_for(asyncio.sleep(600), 600))
        running.set(Run())
        neighbours = asyncio.create_task(asyncio.sleep(600))
        await asyncio.sleep(0)
        seen = await asyncio.create_task(look())
        expected = {strangers, asyncio.current_task()}
        isolation.show_tasks(asyncio.get_running_loop())
        assert {own, neighbours} <= asyncio.all_tasks()
        return expected, seen

    expected, seen = contained(main)
    assert seen == expected


def test_a_program_cannot_be_cancelled_by_way_of_all_tasks_and_ends_what_is_left():
    ended: list[bool] = []

    async def stay() -> None:
        try:
            await asyncio.sleep(600)
        finally:
            ended.append(True)

    async def main() -> set[Any]:
        asyncio.create_task(stay())  # noqa: RUF006 - nobody holds it
        await asyncio.sleep(0)
        return asyncio.all_tasks()

    assert isolation.run(main()) == set()
    assert ended == [True]
