"""An attempt that is stopped from outside ends as it was told to."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from ironforge.execution.executor import Attempt, Ending, Interrupt
from ironforge.job.record import decode
from tests.execution.kit import interrupted, last_error, record, start


async def wait_for_ever(running: asyncio.Event) -> None:
    running.set()
    await asyncio.Event().wait()


ENDINGS = {
    Interrupt.TIMEOUT: Ending.FAILED,
    Interrupt.CANCEL: Ending.CANCELLED,
}


@pytest.mark.parametrize(("reason", "ending"), ENDINGS.items())
@pytest.mark.parametrize("swallows", [False, True])
async def test_an_interrupt_ends_the_attempt_even_if_the_handler_swallows_it(executor_of, reason, ending, swallows):
    running = asyncio.Event()

    async def handler() -> str:
        try:
            await wait_for_ever(running)
        except asyncio.CancelledError:
            if not swallows:
                raise
        return "done anyway"

    outcome = await interrupted(executor_of(handler), reason, running)
    assert outcome.ending is ending


async def test_a_timeout_is_a_failure_that_names_the_limit(executor_of):
    running = asyncio.Event()

    async def handler() -> None:
        await wait_for_ever(running)

    error = last_error(await interrupted(executor_of(handler), Interrupt.TIMEOUT, running))
    assert error.type == "Timeout"
    assert error.message == "the handler ran longer than its limit of 2 s"


async def test_a_cancelled_job_leaves_a_terminal_record(executor_of):
    running = asyncio.Event()

    async def handler() -> None:
        await wait_for_ever(running)

    outcome = await interrupted(executor_of(handler), Interrupt.CANCEL, running)
    assert decode(outcome.record).ended == "cancelled"
    assert decode(outcome.record).result == b""


async def test_an_interrupt_that_arrives_as_the_handler_returns_still_counts(executor_of):
    attempts: list[Attempt] = []

    async def handler() -> None:
        attempts[0].interrupt = Interrupt.CANCEL
        task = asyncio.current_task()
        assert task is not None
        task.cancel()  # is delivered at the next await, and there is none in this handler

    executor = executor_of(handler)
    attempts.append(executor.prepare(record()))
    task, outcomes = start(executor, attempts[0])
    await asyncio.wait([task])
    assert [outcome.ending for outcome in outcomes] == [Ending.CANCELLED]


async def test_a_stubborn_handler_that_is_cancelled_again_ends_as_it_was_told_first(executor_of):
    running, again = asyncio.Event(), asyncio.Event()

    async def handler() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await wait_for_ever(running)
        await wait_for_ever(again)

    executor = executor_of(handler)
    attempt = executor.prepare(record())
    task, outcomes = start(executor, attempt)
    await running.wait()
    attempt.interrupt = Interrupt.TIMEOUT
    attempt.stop()
    await again.wait()
    executor.give_up(attempt)  # what its worker does meanwhile
    given_up = attempt.outcome
    attempt.stop()
    await asyncio.wait([task])
    assert outcomes == [given_up]
    assert given_up.ending is Ending.FAILED


async def test_an_attempt_that_was_interrupted_before_it_ran_does_not_run(executor_of):
    async def handler() -> None:
        raise AssertionError("must not run")

    executor = executor_of(handler)
    attempt = executor.prepare(record())
    attempt.interrupt = Interrupt.CANCEL
    assert (await executor.run(attempt)).ending is Ending.CANCELLED
