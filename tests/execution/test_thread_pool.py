"""Plain functions run in threads, which cannot be stopped but must not be in the way either."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

from ironforge.execution.executor import Ending, Interrupt
from ironforge.job.context import Context
from ironforge.job.record import decode
from ironforge.process.thread_pool import Threads
from ironforge.settings import Settings
from tests.execution.kit import interrupted, last_error, record, run


async def test_a_plain_function_runs_in_a_thread_with_its_context(executor_of):
    def handler(context: Context, to: str) -> list[Any]:
        return [threading.current_thread() is threading.main_thread(), context.kind, to]

    outcome = await run(executor_of(handler), payload=b'{"to":"ada"}')
    assert decode(outcome.record).result == b'[false,"k","ada"]'


async def test_a_thread_that_is_out_of_time_is_told_and_left_behind(executor_of):
    loop, running, stopped = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    def handler(context: Context) -> None:
        loop.call_soon_threadsafe(running.set)
        while not context.cancel_requested:
            threading.Event().wait(0.001)
        loop.call_soon_threadsafe(stopped.set)

    outcome = await interrupted(executor_of(handler), Interrupt.TIMEOUT, running)
    assert "its thread cannot be stopped and may still be running" in last_error(outcome).message
    await stopped.wait()


async def test_a_stuck_thread_does_not_take_the_place_of_the_next_job(executor_of):
    loop, running, release = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    calls: list[int] = []

    def handler() -> str:
        calls.append(1)
        if len(calls) == 1:
            loop.call_soon_threadsafe(running.set)
            release.wait()
        return "free"

    executor = executor_of(handler, Settings(threads=1))
    await interrupted(executor, Interrupt.TIMEOUT, running)
    outcome = await run(executor)
    release.set()
    assert decode(outcome.record).result == b'"free"'


async def test_waiting_for_a_thread_does_not_count_against_the_time_limit(executor_of):
    loop, running, release = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def handler() -> None:
        loop.call_soon_threadsafe(running.set)
        release.wait()

    executor = executor_of(handler, Settings(threads=1))
    first, second = executor.prepare(record()), executor.prepare(record(timeout_ms=5_000))
    tasks = [asyncio.create_task(executor.run(first)), asyncio.create_task(executor.run(second))]
    await running.wait()
    assert first.seconds_left() < 300
    assert second.seconds_left() == 5.0
    release.set()
    assert [(await task).ending for task in tasks] == [Ending.COMPLETED] * 2


async def test_a_thread_sees_the_callers_context_variables():
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("set")
    threads = Threads(keep=1)
    assert await threads.run(variable.get) == "set"
    threads.close()


async def test_an_idle_thread_is_used_again_and_ends_with_the_pool():
    threads = Threads(keep=1)
    first = await threads.run(threading.current_thread)
    assert await threads.run(threading.current_thread) is first
    threads.close()
    await asyncio.to_thread(first.join)
    assert not first.is_alive()
