"""Functions that do not say that they are asynchronous: what they return is awaited all the same, on the loop."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import pytest

from ironforge.errors import ConfigError
from ironforge.execution.executor import Ending
from ironforge.job.context import Context
from ironforge.job.record import decode
from tests.execution.kit import last_error, run
from tests.support.waiting import PATIENCE_SECONDS


async def greet(context: Context, to: str) -> list[Any]:
    await asyncio.sleep(0)
    return [id(asyncio.get_running_loop()), context.kind, to]


def plainly(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def as_a_task(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return asyncio.ensure_future(function(*args, **kwargs))

    return wrapper


def as_an_object(function: Callable[..., Any]) -> Callable[..., Any]:
    class Later:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._coro = function(*args, **kwargs)

        def __await__(self) -> Any:
            return self._coro.__await__()

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return Later(*args, **kwargs)

    return wrapper


def without_a_trace(context: Context, to: str) -> Any:
    return greet(context, to)


HIDDEN = {
    "plainly": plainly(greet),
    "twice": plainly(plainly(greet)),
    "as a task": as_a_task(greet),
    "as an object": as_an_object(greet),
    "without a trace": without_a_trace,
}


@pytest.mark.parametrize("function", HIDDEN.values(), ids=HIDDEN)
async def test_what_it_returns_is_awaited_on_the_loop(executor_of, function):
    outcome = await run(executor_of(function), payload=b'{"to":"ada"}')
    assert decode(outcome.record).result == f'[{id(asyncio.get_running_loop())},"k","ada"]'.encode()


async def test_one_that_returns_at_once_for_once_is_taken_at_its_word(executor_of):
    @functools.wraps(greet)
    def cached(context: Context, to: str) -> list[str]:
        return [to]

    outcome = await run(executor_of(cached), payload=b'{"to":"ada"}')
    assert decode(outcome.record).result == b'["ada"]'


async def test_one_that_runs_a_loop_of_its_own_is_told_to_be_in_a_thread(executor_of):
    @functools.wraps(greet)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        coro = greet(*args, **kwargs)
        try:
            return asyncio.run(coro)
        finally:
            coro.close()

    async with asyncio.timeout(PATIENCE_SECONDS):
        in_thread = await run(executor_of(wrapper, executor="thread"), payload=b'{"to":"ada"}')
        on_loop = await run(executor_of(wrapper), payload=b'{"to":"ada"}')
    assert in_thread.ending is Ending.COMPLETED
    assert "cannot be called from a running event loop" in last_error(on_loop).message


class Callee:
    async def __call__(self) -> None: ...


@pytest.mark.parametrize("handler", [functools.partial(greet, to="ada"), Callee()])
def test_what_is_no_function_is_refused_at_registration(executor_of, handler):
    with pytest.raises(ConfigError, match="a handler must be a function"):
        executor_of(handler)
