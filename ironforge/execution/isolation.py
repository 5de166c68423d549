"""What keeps a handler's doings to its own job: a context of its own, tasks that end only the job, no sight of others'.

A task or callback that raises SystemExit or KeyboardInterrupt ends its event loop, and with it the node and every other
job. So the tasks that handlers make run contained: the exit fails the attempt of the job they were made for. Whose a
callback was nobody knows; the loop of a node goes on after it.

The tasks of a node and of its handlers are in no list of asyncio's while it runs: a handler that cancels or awaits
`asyncio.all_tasks()` finds nobody else's.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import signal
import types
import weakref
from collections.abc import Callable, Coroutine, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from ironforge.job.context import Running, running
from ironforge.job.tracebacks import RemoteFailure, describe
from ironforge.process.ending import ended_in_time
from ironforge.process.garbage import loaded_set_apart
from ironforge.process.node_loop import NodeLoop

logger = logging.getLogger(__name__)

T = TypeVar("T")
TaskFactory = Callable[..., Any]

_is_of_node: Final = contextvars.ContextVar("ironforge_is_of_node", default=False)


@types.coroutine
def resumed(context: contextvars.Context, coro: Coroutine[Any, Any, T], awaited: Any) -> Generator[Any, Any, T]:
    """Await the rest of `coro`, which has begun in a context of its own and waits for `awaited`."""
    while True:
        try:
            step: tuple[Any, ...] = (coro.send, (yield awaited))
        except BaseException as error:  # noqa: BLE001 - whatever is thrown in is for `coro`
            step = (coro.throw, error)
        try:
            awaited = context.run(*step)
        except StopIteration as end:
            result: T = end.value
            return result


def is_cancelled(task: asyncio.Task[Any]) -> bool:
    """Whether a cancellation has been asked for that is not over yet."""
    # A cancellation that was taken back before it arrived (`uncancel`) still arrives.
    return task.cancelling() > 0 or task._must_cancel  # type: ignore[attr-defined]  # noqa: SLF001


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run `main` to its end in a loop of its own, whatever callbacks of handlers raise meanwhile: its exit code."""
    runner = asyncio.Runner(loop_factory=NodeLoop)
    code = 1
    try:
        with loaded_set_apart():
            code = _run(runner.get_loop(), main)
    finally:
        show_tasks(runner.get_loop())
        # It would wait for what sits in the loop's pool: of handlers, for as long as they like.
        runner.get_loop().set_default_executor(ThreadPoolExecutor())
        try:
            with ended_in_time(code):
                runner.close()
        except BaseException:
            logger.exception("a callback raised what would have ended this process otherwise")
    return code


def _run(loop: asyncio.AbstractEventLoop, main: Coroutine[Any, Any, int]) -> int:
    contain_tasks(loop)
    with hidden_tasks():
        task = loop.create_task(main)
    while True:
        try:
            return loop.run_until_complete(task)
        except BaseException as error:
            if task.done():  # perhaps in the very turn in which something else has raised this
                return task.result()
            if _is_from_the_keyboard(error):
                raise
            logger.exception("a callback raised what would have ended this process")


def _is_from_the_keyboard(error: BaseException) -> bool:
    """Once `main` handles the signal, nobody but a handler raises this."""
    return isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def contain_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """From now on no task that a handler makes can end the loop, and what nobody awaits is told with its job."""
    before = loop.get_task_factory()
    if isinstance(before, _Factory):
        return
    loop.set_task_factory(_Factory(before or _plain_task))
    tell = loop.get_exception_handler() or type(loop).default_exception_handler

    def tell_with_job(loop: asyncio.AbstractEventLoop, told: dict[str, Any]) -> None:
        task = told.get("task") or told.get("future")
        coro = task.get_coro() if isinstance(task, asyncio.Task) else None
        if not isinstance(coro, _Contained):
            tell(loop, told)
        elif type(told.get("exception")) is not RemoteFailure:  # that one was told when it was raised
            token = running.set(coro.run)
            tell(loop, told)
            running.reset(token)

    loop.set_exception_handler(tell_with_job)


@contextlib.contextmanager
def hidden_tasks() -> Iterator[None]:
    """Tasks that are made in the block, and all that come from them, are of a node: handlers shall not find them."""
    before = _is_of_node.set(True)
    try:
        yield
    finally:
        _is_of_node.reset(before)


def show_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """What still runs is in asyncio's list again, for whoever ends the loop."""
    factory = loop.get_task_factory()
    if isinstance(factory, _Factory):
        for task in factory.hidden:
            if not task.done():
                asyncio._register_task(task)  # noqa: SLF001


def _plain_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
    return asyncio.Task(coro, loop=loop, **options)


class _Factory:
    def __init__(self, make: TaskFactory) -> None:
        self._make = make
        self.hidden: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()

    def __call__(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        context = options.get("context")
        run = running.get(None) if context is None else context.get(running, running.get(None))
        if run is not None and asyncio.iscoroutine(coro):
            coro = _Contained(coro, run)
        task: asyncio.Task[Any] = self._make(loop, coro, **options)
        if run is not None or _is_of_node.get():
            self.hidden.add(task)
            asyncio._unregister_task(task)  # noqa: SLF001
        return task


class _Contained(Coroutine[Any, Any, Any]):
    """A coroutine of a handler's task. In all else it is the one inside."""

    __slots__ = ("_coro", "run")

    def __init__(self, coro: Coroutine[Any, Any, Any], run: Running) -> None:
        self._coro = coro
        self.run = run

    def send(self, value: Any) -> Any:
        try:
            return self._coro.send(value)
        except (SystemExit, KeyboardInterrupt) as error:
            raise self._failure(error) from None

    def throw(self, *error: Any) -> Any:
        try:
            return self._coro.throw(*error)
        except (SystemExit, KeyboardInterrupt) as raised:
            raise self._failure(raised) from None

    def close(self) -> None:
        self._coro.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coro.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coro, name)

    def _failure(self, error: BaseException) -> RemoteFailure:
        words = describe(error)
        if not self.run.fail(error):
            kind = self.run.context.kind if self.run.context else ""
            logger.error("a task that a job of kind %s had left behind raised %s: %s", kind, *words[:2])
        return RemoteFailure(*words)
