"""A real node that runs handlers with steps, of all sorts: what is recorded stays, and is not done again."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from ironforge import Context
from ironforge.actors import attempt_timers
from ironforge.handlers.forge import ExecutorName
from ironforge.job.record import JobState
from tests.actors.node.kit import QUICK, Gate, World
from tests.actors.node.steps import step_handlers
from tests.actors.node.steps.kit import journal, register_as
from tests.support.waiting import until, whole_lines

pytestmark = pytest.mark.one_shard

BLOCKING = pytest.mark.parametrize("sort", ["thread", "process"])


class Charge(msgspec.Struct):
    cents: int


class Parcel(BaseModel):
    weight: float


async def test_a_later_attempt_gets_what_an_earlier_one_has_recorded(world: World) -> None:
    calls: list[str] = []

    @world.forge.job("order", backoff=QUICK)
    async def order(context: Context) -> list[Any]:
        charge = await context.step("charge", calls.append, "charge")
        if context.attempt == 1:
            raise ConnectionError
        return [charge, await context.step("ship", lambda: len(calls))]

    async with world.node():
        job_id = await world.submit("order")
        done = await world.completed(job_id)
    assert done.job.result == b"[null,1]"
    assert calls == ["charge"]
    found = journal(world, job_id)
    assert {name: entry.fence for name, entry in found.items()} == {"charge": 0, "ship": 1}
    assert done.job.journal is True


@BLOCKING
async def test_blocking_handlers_have_the_same_calls(world: World, sort: ExecutorName, tmp_path: Path) -> None:
    register_as(world, sort, "order", step_handlers.order, backoff=QUICK)
    notes = tmp_path / "notes"
    async with world.node():
        job_id = await world.submit("order", {"path": str(notes), "failures": 1})
        done = await world.completed(job_id)
    assert done.job.result == b'["charge","pack 0","pack 1","/charge"]'
    assert whole_lines(notes) == ["charge", "pack 0", "pack 1"]
    assert list(journal(world, job_id)) == ["charge", "pack\n0", "pack\n1"]


@BLOCKING
async def test_they_may_await_and_have_threads_of_their_own(world: World, sort: ExecutorName) -> None:
    register_as(world, sort, "awaits", step_handlers.awaits)
    register_as(world, sort, "from_threads", step_handlers.from_threads)
    async with world.node():
        first, second = await world.submit("awaits"), await world.submit("from_threads")
        assert (await world.completed(first)).job.result == b"[2,6]"
        assert (await world.completed(second)).job.result == b'["s0s1s2s3s4s5s6s7"]'
    assert len(journal(world, second)) == 9


@BLOCKING
async def test_errors_of_steps_reach_them(world: World, sort: ExecutorName) -> None:
    register_as(world, sort, "twice", step_handlers.twice, max_retries=0)
    register_as(world, sort, "caught", step_handlers.caught)
    async with world.node():
        twice, caught = await world.submit("twice"), await world.submit("caught")
        dead = await world.dead(twice)
        assert (await world.completed(caught)).job.result == b'"InvalidStep"'
    assert dead.job.errors[-1].type == "ironforge.steps.errors.DuplicateStep"
    assert list(journal(world, twice)) == ["a"]


async def test_a_process_that_dies_between_steps_or_in_one_repeats_only_what_was_not_recorded(
    world: World, tmp_path: Path
) -> None:
    between, within = tmp_path / "between", tmp_path / "within"
    register_as(world, "process", "after", step_handlers.die_after, backoff=QUICK)
    register_as(world, "process", "in", step_handlers.die_in, backoff=QUICK)
    async with world.node():
        await world.completed(await world.submit("after", {"path": str(between)}))
        view = await world.completed(await world.submit("in", {"path": str(within)}))
    assert whole_lines(between) == ["charge", "ship"]
    assert whole_lines(within) == ["charge", "ship", "ship"]
    assert [error.type for error in view.job.errors] == ["ProcessDied"]


async def test_values_come_as_the_function_says_in_each_run(world: World) -> None:
    seen: list[Any] = []

    async def charge() -> Charge:
        return Charge(5)

    def pack() -> list[Parcel]:
        return [Parcel(weight=1.5)]

    @world.forge.job("order", backoff=QUICK)
    async def order(context: Context) -> None:
        seen.append(await context.step("charge", charge))
        seen.append(await context.step("pack", pack))
        if context.attempt == 1:
            raise ConnectionError

    async with world.node():
        await world.completed(await world.submit("order"))
    assert seen == [Charge(5), [Parcel(weight=1.5)]] * 2


async def test_a_dead_job_keeps_its_journal_for_when_it_is_retried(world: World) -> None:
    calls: list[int] = []

    @world.forge.job("order", max_retries=0)
    async def order(context: Context) -> None:
        await context.step("charge", calls.append, 1)
        if len(calls) == 1 and context.fence == 0:
            raise ConnectionError

    async with world.node():
        job_id = await world.submit("order")
        dead = await world.dead(job_id)
        assert dead.job.journal is True
        await world.retry(job_id, reset_retry_count=True)
        await world.completed(job_id)
    assert calls == [1]


async def test_a_journal_goes_with_a_record_that_is_not_retained(world: World) -> None:
    @world.forge.job("order", retain_seconds=0)
    async def order(context: Context) -> None:
        await context.step("charge", str)

    async with world.node():
        job_id = await world.submit("order")
        await until(lambda: world.cluster.totals().get("completed") == 1, "the job to end")
    assert journal(world, job_id) == {}


async def test_a_result_that_is_too_large_ends_the_job_and_says_so(world: World) -> None:
    @world.forge.job("order", backoff=QUICK)
    async def order(context: Context) -> None:
        await context.step("load", lambda: "x" * 70_000)

    async with world.node():
        view = await world.dead(await world.submit("order"))
    assert view.job.attempt == 1
    assert view.job.reason == (
        "step_too_large: the result of step load has 70002 bytes, at most 65536: return a reference"
    )


async def test_a_time_limit_in_a_step_leaves_what_was_recorded_and_records_no_more(world: World) -> None:
    gate = Gate()

    @world.forge.job("order", timeout_seconds=0.2, backoff=QUICK)
    async def order(context: Context) -> str:
        await context.step("charge", str)
        if context.attempt == 1:
            await context.step("ship", gate.pass_through)
        return str(await context.step("ship", lambda: "shipped"))

    async with world.node():
        job_id = await world.submit("order")
        view = await world.completed(job_id)
    assert gate.cancelled == [None]
    assert [error.type for error in view.job.errors] == ["Timeout"]
    assert {name: entry.fence for name, entry in journal(world, job_id).items()} == {"charge": 0, "ship": 1}


async def test_a_thread_that_goes_on_after_its_time_records_no_more(world: World) -> None:
    go_on, told = threading.Event(), []

    @world.forge.job("order", timeout_seconds=0.1, max_retries=0)
    def order(context: Context) -> None:
        context.step("charge", str)
        go_on.wait()
        try:
            context.step("ship", str)
        except BaseException as error:
            told.append(error)
            raise

    async with world.node() as node:
        job_id = await world.submit("order")
        await world.dead(job_id)
        go_on.set()
        await until(lambda: told, "the thread to be told")
        node.stop()
    assert [type(error) for error in told] == [asyncio.CancelledError]
    assert list(journal(world, job_id)) == ["charge"]


async def test_a_run_that_was_given_up_records_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt_timers, "STUBBORN_SECONDS", 0.05)
    go_on, told = asyncio.Event(), []

    @world.forge.job("order", timeout_seconds=0.05, max_retries=0)
    async def order(context: Context) -> None:
        await context.step("charge", str)
        while not go_on.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await go_on.wait()
        try:
            await context.step("ship", str)
        except BaseException as error:
            told.append(type(error))

    async with world.node():
        job_id = await world.submit("order")
        view = await world.dead(job_id)
        go_on.set()
        await until(lambda: told, "the handler to be told")
    assert told == [asyncio.CancelledError]
    assert view.job.errors[-1].type == "Timeout"
    assert list(journal(world, job_id)) == ["charge"]


async def test_a_cancelled_job_records_no_more(world: World) -> None:
    gate, told = Gate(), []

    @world.forge.job("order")
    async def order(context: Context) -> None:
        try:
            await context.step("charge", gate.pass_through)
        except asyncio.CancelledError:
            try:
                await context.step("undo", str)
            except BaseException as error:
                told.append(type(error))
                raise

    async with world.node():
        job_id = await world.submit("order")
        await until(lambda: gate.entered, "the step to begin")
        await world.cancel(job_id)
        await world.reached(job_id, JobState.CANCELLED)
    assert told == [asyncio.CancelledError]
    assert journal(world, job_id) == {}


async def test_a_run_that_is_over_has_no_steps(world: World) -> None:
    told: list[str] = []
    gate = Gate()

    @world.forge.job("order")
    async def order(context: Context) -> None:
        async def late() -> None:
            await gate.pass_through()
            try:
                await context.step("late", str)
            except Exception as error:
                told.append(str(error))

        gate.task = asyncio.create_task(late())  # type: ignore[attr-defined]

    async with world.node():
        job_id = await world.submit("order")
        await world.completed(job_id)
        gate.open()
        await until(lambda: told, "the task to be told")
    assert told == ["this run is over: a handler has to await its steps before it returns"]
    assert journal(world, job_id) == {}
