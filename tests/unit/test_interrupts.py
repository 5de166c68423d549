"""An attempt that is stopped from outside ends as it was told to, and its task can go on."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from ironforge.executor import Attempt, Ending, Interrupt
from ironforge.job import decode
from tests.unit.kit import interrupted, last_error, record


async def wait_for_ever(running: asyncio.Event) -> None:
    running.set()
    await asyncio.Event().wait()


ENDINGS = {
    Interrupt.TIMEOUT: Ending.FAILED,
    Interrupt.CANCEL: Ending.CANCELLED,
    Interrupt.RELEASE: Ending.RELEASED,
}


@pytest.mark.parametrize(("reason", "ending"), ENDINGS.items())
@pytest.mark.parametrize("swallows", [False, True])
async def test_an_interrupt_ends_the_attempt_even_if_the_handler_swallows_it(executor_of, reason, ending, swallows):
    if swallows and reason is Interrupt.RELEASE:
        ending = Ending.COMPLETED  # a node that goes down takes what is done
    running = asyncio.Event()

    async def handler() -> str:
        try:
            await wait_for_ever(running)
        except asyncio.CancelledError:
            if not swallows:
                raise
        return "done anyway"

    outcome = await interrupted(executor_of(handler), reason, running)
    assert ending is outcome.ending


async def test_a_timeout_is_a_failure_that_names_the_limit(executor_of):
    running = asyncio.Event()

    async def handler() -> None:
        await wait_for_ever(running)

    error = last_error(await interrupted(executor_of(handler), Interrupt.TIMEOUT, running))
    assert ("Timeout", "the handler ran longer than its limit of 2 s") == (error.type, error.message)


async def test_a_cancelled_job_leaves_a_terminal_record(executor_of):
    running = asyncio.Event()

    async def handler() -> None:
        await wait_for_ever(running)

    outcome = await interrupted(executor_of(handler), Interrupt.CANCEL, running)
    assert ("cancelled", b"") == (decode(outcome.record).ended, decode(outcome.record).result)


async def test_a_released_job_spends_no_attempt(executor_of):
    running = asyncio.Event()

    async def handler() -> None:
        await wait_for_ever(running)

    outcome = await interrupted(executor_of(handler), Interrupt.RELEASE, running)
    assert outcome.job is not None
    assert (0, 1, ()) == (outcome.job.attempt, outcome.job.fence, outcome.job.errors)


async def test_an_interrupt_that_arrives_as_the_handler_returns_leaves_nothing_behind(executor_of):
    started = asyncio.Event()
    attempts: list[Attempt] = []

    async def handler() -> None:
        started.set()
        attempts[0].interrupt = Interrupt.CANCEL
        task = asyncio.current_task()
        assert task is not None
        task.cancel()  # is delivered at the next await, and there is none in this handler

    executor = executor_of(handler)
    attempts.append(executor.prepare(record()))
    outcome = await asyncio.create_task(executor.run(attempts[0]))
    await asyncio.sleep(0)
    assert Ending.CANCELLED is outcome.ending


async def test_a_stubborn_handler_that_is_cancelled_again_leaves_nothing_behind_either(executor_of):
    running, again = asyncio.Event(), asyncio.Event()

    async def handler() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await wait_for_ever(running)
        await wait_for_ever(again)

    executor = executor_of(handler)
    attempt = executor.prepare(record())
    task = asyncio.create_task(executor.run(attempt))
    await running.wait()
    attempt.interrupt = Interrupt.TIMEOUT
    task.cancel()
    await again.wait()
    assert Ending.FAILED is executor.interrupted(attempt).ending  # what its worker reports meanwhile
    task.cancel()
    assert (Ending.FAILED, 0) == ((await task).ending, task.cancelling())


async def test_an_attempt_that_was_interrupted_before_it_ran_does_not_run(executor_of):
    async def handler() -> None:
        raise AssertionError("must not run")

    executor = executor_of(handler)
    attempt = executor.prepare(record())
    attempt.interrupt = Interrupt.CANCEL
    assert Ending.CANCELLED is (await executor.run(attempt)).ending


async def test_a_cancellation_that_is_no_interrupt_goes_through(executor_of):
    running = asyncio.Event()

    async def handler() -> None:
        await wait_for_ever(running)

    executor = executor_of(handler)
    task = asyncio.create_task(executor.run(executor.prepare(record())))
    await running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
