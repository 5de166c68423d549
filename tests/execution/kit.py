"""Helpers for tests that run jobs through an executor: no queue, no server, no actor."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from ironforge.execution.executor import Attempt, Executor, Interrupt, Outcome
from ironforge.job.options import JobOptions
from ironforge.job.record import encode
from ironforge.job.tracebacks import AttemptError


def record(payload: bytes = b"{}", kind: str = "k", **changes: Any) -> bytes:
    return encode(msgspec.structs.replace(JobOptions().checked().job(kind, payload), **changes))


async def run(executor: Executor, **changes: Any) -> Outcome:
    return await executor.run(executor.prepare(record(**changes)))


def last_error(outcome: Outcome) -> AttemptError:
    assert outcome.job is not None
    return outcome.job.errors[-1]


def start(executor: Executor, attempt: Attempt) -> tuple[asyncio.Task[None], list[Outcome]]:
    """Runs an attempt in a task of its own, which may end as cancelled; the outcome is in the list then."""
    outcomes: list[Outcome] = []

    async def runner() -> None:
        outcomes.append(await executor.run(attempt))

    return asyncio.create_task(runner()), outcomes


async def interrupted(executor: Executor, reason: Interrupt, running: asyncio.Event) -> Outcome:
    """Runs a job in a task, and interrupts it once it is running."""
    attempt = executor.prepare(record(timeout_ms=2_000))
    task, outcomes = start(executor, attempt)
    await running.wait()
    attempt.interrupt = reason
    attempt.stop()
    await asyncio.wait([task])
    return outcomes[0]


async def wait_for_ever(running: asyncio.Event) -> None:
    running.set()
    await asyncio.Event().wait()
