"""Helpers for tests that run jobs through an executor: no queue, no server, no actor."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from ironforge.executor import Executor, Interrupt, Outcome
from ironforge.job import AttemptError, encode
from ironforge.options import Options


def record(payload: bytes = b"{}", kind: str = "k", **changes: Any) -> bytes:
    return encode(msgspec.structs.replace(Options().job(kind, payload), **changes))


async def run(executor: Executor, **changes: Any) -> Outcome:
    return await executor.run(executor.prepare(record(**changes)))


def last_error(outcome: Outcome) -> AttemptError:
    assert outcome.job is not None
    return outcome.job.errors[-1]


async def interrupted(executor: Executor, reason: Interrupt, running: asyncio.Event) -> Outcome:
    """Runs a job in a task, interrupts it once it is running, and checks that the task can go on afterwards."""
    attempt = executor.prepare(record(timeout_ms=2_000))

    async def runner() -> Outcome:
        outcome = await executor.run(attempt)
        await asyncio.sleep(0)  # raises if a cancellation were left over
        task = asyncio.current_task()
        assert task is not None
        assert 0 == task.cancelling()
        return outcome

    task = asyncio.create_task(runner())
    await running.wait()
    attempt.interrupt = reason
    task.cancel()
    return await task


async def wait_for_ever(running: asyncio.Event) -> None:
    running.set()
    await asyncio.Event().wait()
