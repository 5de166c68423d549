"""The steps of a run, on a journal in memory: what is called, what is recorded, what is refused."""

from __future__ import annotations

import asyncio
import functools
import threading
from typing import Any

import pytest

from ironforge.execution.conclusion import Verdict, raised
from ironforge.job.context import Context
from ironforge.job.record import new_id
from ironforge.steps.errors import (
    DuplicateStep,
    InvalidStep,
    JournalFull,
    StepError,
    StepTooLarge,
    UnusableStep,
)
from ironforge.steps.journal import MAX_ENTRIES, MAX_RESULT_BYTES, Entry, EntryKind
from tests.execution.steps.kit import MemoryJournal, Run


def test_a_step_is_called_once_over_all_runs() -> None:
    journal, calls = MemoryJournal(), []
    for fence in range(3):
        assert Run(journal, fence).context.step("charge", lambda: calls.append(1) or len(calls)) == 1
    assert calls == [1]


def test_the_first_run_loads_no_journal_and_a_later_one_loads_it_once() -> None:
    journal = MemoryJournal()
    for fence in range(2):
        run = Run(journal, fence)
        run.context.step("a", lambda: 1)
        run.context.step("b", lambda: 2)
    assert journal.loads == 1


def test_what_it_raises_is_not_recorded_and_it_is_called_again() -> None:
    journal = MemoryJournal()
    with pytest.raises(ZeroDivisionError):
        Run(journal).context.step("divide", lambda: 1 / 0)
    assert journal.entries == {}
    assert Run(journal, 1).context.step("divide", lambda: 7) == 7


def test_arguments_are_those_of_the_function_also_where_they_have_our_names() -> None:
    def function(*args: int, **kwargs: int) -> list[Any]:
        return [args, kwargs]

    assert Run(MemoryJournal()).context.step("f", function, 1, 2, name=3, function=4) == [
        [1, 2],
        {"name": 3, "function": 4},
    ]


def test_the_first_run_gets_the_value_as_later_ones_do() -> None:
    journal = MemoryJournal()
    values = [Run(journal, fence).context.step("pair", lambda: (1, {2})) for fence in range(2)]
    assert values == [[1, [2]], [1, [2]]]


def test_an_entry_says_when_and_in_which_run() -> None:
    journal = MemoryJournal()
    Run(journal, 3).context.step("a", lambda: "x")
    entry = journal.entries["a"]
    assert (entry.kind, entry.result, entry.fence) == (EntryKind.STEP, b'"x"', 3)
    assert entry.started_ms <= entry.ended_ms


def test_a_repeated_name_is_told_to_use_a_key() -> None:
    context = Run(MemoryJournal()).context
    context.step("pack", lambda: 1)
    with pytest.raises(DuplicateStep, match="this run has a step pack already: give each its own key=, as in a loop"):
        context.step("pack", lambda: 2)


def test_keys_tell_steps_of_one_name_apart() -> None:
    journal = MemoryJournal()
    for fence in range(2):
        context = Run(journal, fence).context
        assert [context.step("pack", lambda part=part: part, key=part) for part in (1, 2)] == [1, 2]
    assert list(journal.entries) == ["pack\n1", "pack\n2"]
    with pytest.raises(DuplicateStep, match=r"a step pack/2 already$"):
        context.step("pack", lambda: 3, key="2")


@pytest.mark.parametrize("name", ["", "a b", "ä", "-a", "a\n", "a/b", 7, None, "x" * 129])
def test_what_is_no_name_is_refused(name: Any) -> None:
    with pytest.raises(InvalidStep, match="is no name of a step"):
        Run(MemoryJournal()).context.step(name, lambda: 1)


@pytest.mark.parametrize("key", ["", "a b", "a\n", "\ud800", "x" * 201, 1.5, True, b"x"])
def test_what_is_no_key_is_refused(key: Any) -> None:
    with pytest.raises(InvalidStep, match="of step a is none"):
        Run(MemoryJournal()).context.step("a", lambda: 1, key=key)


def test_the_key_for_others_is_the_same_in_each_run() -> None:
    job_id = new_id()
    keys = {Context(job_id, "k", 1, fence, 60.0).step_key("charge", key) for fence in (0, 5) for key in (3, "3")}
    assert keys == {f"{Context(job_id, 'k', 1, 0, 1.0).id}/charge/3"}
    assert Context(job_id, "k", 1, 0, 1.0).step_key("charge").endswith("/charge")


def test_a_context_of_no_run_says_so() -> None:
    with pytest.raises(StepError, match="of no run on a node"):
        Context(new_id(), "k", 1, 0, 60.0).step("a", lambda: 1)


def test_steps_do_not_nest() -> None:
    context = Run(MemoryJournal()).context
    with pytest.raises(InvalidStep, match="inner is called inside the function of step outer"):
        context.step("outer", lambda: context.step("inner", lambda: 1))


def test_a_result_that_is_too_large_is_refused_and_not_recorded() -> None:
    journal = MemoryJournal()
    with pytest.raises(StepTooLarge, match=f"65539 bytes, at most {MAX_RESULT_BYTES}: return a reference"):
        Run(journal).context.step("a", lambda: "x" * 65_537)
    assert journal.entries == {}
    assert Run(journal).context.step("a", lambda: "x" * (MAX_RESULT_BYTES - 2))


def test_a_result_that_is_no_json_is_named() -> None:
    with pytest.raises(UnusableStep, match=r"the result of step a\.at\[0\] cannot be sent as JSON: object is not"):
        Run(MemoryJournal()).context.step("a", lambda: {"at": [object()]})


def test_what_cannot_be_recorded_ends_the_job_at_once() -> None:
    end = raised(StepTooLarge("the result of step a has too much"))
    assert (end.verdict, end.type) == (Verdict.UNUSABLE, "step_too_large")
    assert end.message == "step_too_large: the result of step a has too much"


def test_a_full_journal_calls_nothing_more() -> None:
    entry = Entry(EntryKind.STEP, b"1", 0, 0, 0)
    journal = MemoryJournal({f"s{number}": entry for number in range(MAX_ENTRIES)})
    context = Run(journal, 1).context
    assert context.step("s7", lambda: 2) == 1
    with pytest.raises(JournalFull, match=f"no room for step more: a job records {MAX_ENTRIES} steps at most"):
        context.step("more", pytest.fail)


def test_a_journal_of_too_many_bytes_is_full() -> None:
    journal = MemoryJournal()
    context = Run(journal).context
    for number in range(69):
        context.step("a", lambda: "x" * 60_000, key=number)
    with pytest.raises(JournalFull, match="no room for step a/69: a job records 4194304 bytes at most"):
        context.step("a", lambda: "x" * 60_000, key=69)


def test_a_run_that_shall_stop_records_nothing() -> None:
    journal = MemoryJournal()

    def told_meanwhile() -> int:
        journal.stops = True
        return 1

    context = Run(journal).context
    with pytest.raises(asyncio.CancelledError):
        context.step("a", told_meanwhile)
    with pytest.raises(asyncio.CancelledError):
        context.step("b", pytest.fail)
    with pytest.raises(asyncio.CancelledError):
        context.sleep("c", 1)
    assert journal.entries == {}


# ------------------------------------------------------------------------------------------------- on an event loop


async def test_asynchronous_functions_are_awaited_on_the_loop() -> None:
    async def where(value: int, *, more: int) -> list[Any]:
        await asyncio.sleep(0)
        return [value + more, threading.current_thread() is threading.main_thread()]

    context = Run(MemoryJournal()).context
    assert await context.step("a", where, 1, more=2) == [3, True]
    assert await context.step("b", functools.partial(where, 1), more=2) == [3, True]
    assert await context.step("c", lambda: where(1, more=2)) == [3, True]


async def test_functions_that_would_block_the_loop_run_in_a_thread() -> None:
    context = Run(MemoryJournal()).context
    assert await context.step("a", lambda: threading.current_thread() is threading.main_thread()) is False


async def test_steps_may_run_beside_each_other() -> None:
    journal, both = MemoryJournal(), asyncio.Barrier(2)

    async def meet(name: str) -> str:
        await both.wait()
        return name

    context = Run(journal, 1).context
    assert await asyncio.gather(context.step("a", meet, "a"), context.step("b", meet, "b")) == ["a", "b"]
    assert set(journal.entries) == {"a", "b"}


async def test_a_cancelled_step_is_not_recorded() -> None:
    journal, begun = MemoryJournal(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await asyncio.Event().wait()

    step = asyncio.create_task(Run(journal).context.step("work", work))
    await begun.wait()
    step.cancel()
    await asyncio.wait([step])
    assert step.cancelled()
    assert journal.entries == {}
