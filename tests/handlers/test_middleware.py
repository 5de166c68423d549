"""Middleware wraps outermost first, may change the result, and costs nothing when there is none."""

from __future__ import annotations

from typing import Any

import pytest

from ironforge.errors import Discard
from ironforge.execution.executor import Ending, Executor, Outcome
from ironforge.handlers.forge import Forge
from ironforge.handlers.middleware import compose
from ironforge.job.context import Context
from ironforge.job.options import JobOptions
from ironforge.job.record import decode, encode
from ironforge.settings import Settings


async def outcome_of(forge: Forge, kind: str = "k") -> Outcome:
    executor = Executor(forge, Settings(), "node-1")
    try:
        return await executor.run(executor.prepare(encode(JobOptions().checked().job(kind, b"{}"))))
    finally:
        await executor.close()


def test_without_middleware_the_endpoint_itself_is_called():
    async def endpoint(context: Context, run: Any) -> None: ...

    assert compose([], endpoint) is endpoint


@pytest.mark.parametrize("executor", ["async", "thread"])
async def test_the_first_registered_middleware_is_the_outermost(executor):
    forge, seen = Forge(), []

    def layer(name: str) -> None:
        @forge.middleware
        async def around(context: Context, call_next: Any) -> Any:
            seen.append(f"{name} in {context.kind}")
            result = await call_next()
            seen.append(f"{name} out")
            return result

    layer("a")
    layer("b")
    if executor == "async":

        @forge.job("k")
        async def on_loop() -> None:
            seen.append("handler")
    else:

        @forge.job("k")
        def in_thread() -> None:
            seen.append("handler")

    await outcome_of(forge)
    assert seen == ["a in k", "b in k", "handler", "b out", "a out"]


async def test_what_the_middleware_returns_is_the_result():
    forge = Forge()

    @forge.middleware
    async def double(context: Context, call_next: Any) -> Any:
        return await call_next() * 2

    @forge.job("k")
    async def handler() -> int:
        return 21

    assert decode((await outcome_of(forge)).record).result == b"42"


async def test_middleware_sees_what_the_handler_raised_and_may_answer_for_it():
    forge = Forge()

    @forge.middleware
    async def rescue(context: Context, call_next: Any) -> Any:
        try:
            return await call_next()
        except KeyError:
            return "rescued"
        except ValueError:
            raise Discard("hopeless") from None

    @forge.job("key")
    async def key() -> None:
        raise KeyError

    @forge.job("value")
    async def value() -> None:
        raise ValueError

    assert decode((await outcome_of(forge, "key")).record).result == b'"rescued"'
    assert (await outcome_of(forge, "value")).ending is Ending.DEAD


async def test_an_error_in_middleware_fails_the_attempt():
    forge = Forge()

    @forge.middleware
    async def broken(context: Context, call_next: Any) -> Any:
        raise RuntimeError("broken middleware")

    @forge.job("k")
    async def handler() -> None: ...

    outcome = await outcome_of(forge)
    assert outcome.ending is Ending.FAILED
    assert outcome.job is not None
    assert outcome.job.errors[0].message == "broken middleware"
