"""What a run parks its job for, on a journal in memory, and what handlers may not make of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from ironforge.execution.conclusion import NOTHING, Conclusion, Verdict, raised
from ironforge.job.context import Context
from ironforge.steps.errors import EventTimeout, InvalidStep
from ironforge.steps.journal import Entry, EntryKind
from ironforge.steps.parking import Parked, Pending
from tests.execution.steps.kit import MemoryJournal, Run


def waits(call: Any) -> Pending:
    """For what the job waits that a call has parked, which does not block."""
    with pytest.raises(Parked) as caught:
        call()
    return caught.value.pending


def test_a_sleep_parks_its_job_until_it_is_over() -> None:
    journal = MemoryJournal()
    pending = waits(lambda: Run(journal).context.sleep("cool-down", timedelta(minutes=1)))
    assert (pending.for_, pending.field, pending.delay_ms, pending.until_ms) == ("sleep", "cool-down", 60_000, 0)
    journal.end("cool-down", b"null")
    assert Run(journal, 1).context.sleep("cool-down", 60) is None


def test_a_sleep_that_has_begun_keeps_its_time() -> None:
    journal = MemoryJournal({"nap": Entry(EntryKind.WAIT, b"", 1_000, 61_000, 0)})
    journal.time_ms = 60_999
    pending = waits(lambda: Run(journal, 1).context.sleep("nap", 60))
    assert (pending.delay_ms, pending.until_ms, pending.started_ms) == (None, 61_000, 1_000)
    journal.time_ms = 61_000
    assert Run(journal, 2).context.sleep("nap", 60) is None


def test_an_event_brings_its_value() -> None:
    journal = MemoryJournal()
    pending = waits(lambda: Run(journal).context.event("approved:42", timeout_seconds=5))
    assert (pending.for_, pending.field, pending.event, pending.delay_ms) == (
        "event",
        "approved:42",
        "approved:42",
        5_000,
    )
    journal.end("approved:42", b'{"by":"ada"}')
    assert Run(journal, 1).context.event("approved:42", timeout_seconds=5) == {"by": "ada"}


def test_an_event_without_a_limit_waits_for_ever() -> None:
    pending = waits(lambda: Run(MemoryJournal()).context.event("approved:42", name="approval", key=1))
    assert (pending.field, pending.event, pending.delay_ms, pending.until_ms) == ("approval\n1", "approved:42", None, 0)


def test_an_event_that_did_not_come_is_said_in_each_run() -> None:
    journal = MemoryJournal()
    journal.end("approved:42", b"", ended_ms=5_000)
    for fence in (1, 2):
        with pytest.raises(EventTimeout, match="event approved:42 did not come within 5 s"):
            Run(journal, fence).context.event("approved:42", timeout_seconds=5)


@pytest.mark.parametrize("event", ["", "a b", "a\n", "x" * 201, "..", 7])
def test_what_is_no_name_of_an_event_is_refused(event: Any) -> None:
    with pytest.raises(InvalidStep, match="is no name of an event"):
        Run(MemoryJournal()).context.event(event)


@pytest.mark.parametrize("duration", [-1, float("nan"), "1", None, True])
def test_what_is_no_duration_is_refused(duration: Any) -> None:
    with pytest.raises(InvalidStep, match="duration"):
        Run(MemoryJournal()).context.sleep("nap", duration)


def test_a_step_that_was_a_wait_is_refused() -> None:
    journal = MemoryJournal({"a": Entry(EntryKind.WAITED, b"null", 0, 1, 0), "b": Entry(EntryKind.STEP, b"1", 0, 1, 0)})
    with pytest.raises(InvalidStep, match="a was a wait in an earlier run, and is a step now: give it another name"):
        Run(journal, 1).context.step("a", lambda: 1)
    with pytest.raises(InvalidStep, match="b was a step in an earlier run, and is a wait now"):
        Run(journal, 1).context.sleep("b", 1)


def test_what_follows_a_wait_on_the_way_out_is_left_for_later() -> None:
    journal, cleaned = MemoryJournal(), []

    def handle(context: Context) -> str:
        try:
            context.sleep("nap", 1)
        finally:
            context.step("clean", lambda: cleaned.append(1))
        return "done"

    assert waits(lambda: handle(Run(journal).context)).field == "nap"
    assert cleaned == []
    journal.end("nap", b"null")
    assert handle(Run(journal, 1).context) == "done"
    assert cleaned == [1]


def test_a_handler_that_swallows_what_parks_its_job_is_told() -> None:
    run = Run(MemoryJournal())
    with pytest.raises(Parked):
        run.context.sleep("nap", 1)
    for end in (NOTHING, Conclusion(Verdict.RETRY), Conclusion(Verdict.DISCARD)):
        concluded = run.made.concluded(end)
        assert (concluded.verdict, concluded.type) == (Verdict.FAILURE, "Parked")
        assert "the handler caught what parks its job" in concluded.message
    failed = Conclusion(Verdict.FAILURE, "KeyError", "'x'")
    assert run.made.concluded(failed) == failed


async def test_two_waits_at_once_are_refused_whatever_the_handler_makes_of_it() -> None:
    run = Run(MemoryJournal())
    with pytest.raises(Parked):
        await asyncio.gather(run.context.sleep("a", 1), run.context.sleep("b", 1))
    end = run.made.concluded(Conclusion(Verdict.WAITING, pending=Pending("sleep", "a")))
    assert (end.verdict, end.type) == (Verdict.FAILURE, "ironforge.steps.errors.InvalidStep")
    assert "the job waits for a already, and cannot wait for b as well" in end.message


async def test_a_wait_beside_a_step_is_refused() -> None:
    context, begun, go_on = Run(MemoryJournal()).context, asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await go_on.wait()

    step = asyncio.create_task(context.step("work", work))
    await begun.wait()
    with pytest.raises(InvalidStep, match="cannot wait for nap while work is under way: await that first"):
        await context.sleep("nap", 1)
    go_on.set()
    await step


async def test_a_group_of_tasks_that_a_wait_has_ended_parks_the_job() -> None:
    context = Run(MemoryJournal()).context
    with pytest.raises(BaseExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            group.create_task(context.sleep("nap", 1))
    end = raised(caught.value)
    assert end.verdict == Verdict.WAITING
    assert end.pending is not None
    assert end.pending.field == "nap"
