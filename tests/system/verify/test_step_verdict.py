"""Ledgers written by hand, of jobs with steps, and what the judge says of them."""

from __future__ import annotations

from typing import Any

import pytest

from ironforge.verify.account import Account, Ended
from ironforge.verify.ledger import Event
from ironforge.verify.steps.verdict import FIRST, HEARD, IN_TIME, NOT_AGAIN, RECORDED, SLEPT, STRANDED, judge_steps

DONE = Ended("completed", 1, 1)
STILL = Ended("waiting")


def told(at: float, what: str, name: str = "", *, job: str = "a", fence: int = 0, pid: int = 1, **more: Any) -> Event:
    return Event(at, what, job, name=name, fence=fence, pid=pid, **more)


def begun(at: float, fence: int = 0, pid: int = 1, job: str = "a") -> Event:
    return told(at, "start", fence=fence, pid=pid, job=job)


def step(at: float, value: int, *, fence: int = 0, pid: int = 1, done: bool = True) -> list[Event]:
    """It was given this value for the step; `done`: it did it itself."""
    stepped = [told(at, "stepped", "charge", fence=fence, pid=pid)] if done else []
    return [*stepped, told(at + 0.1, "recorded", "charge", fence=fence, pid=pid, value=value)]


def sent(at: float, value: int, what: str = "sent", name: str = "go") -> Event:
    return Event(at, what, name=name, value=value)


def put_forward(at: float, ahead: float) -> list[Event]:
    """By so many seconds; negative: back."""
    return [Event(at, "wall"), Event(at + 0.02, "wall", seconds=ahead)]


def found(*events: Event, final: Ended = DONE) -> list[tuple[str, str]]:
    broken: list[tuple[str, str]] = []
    account = Account(sorted(events, key=lambda event: event.at))
    judge_steps(account, {"a": final}, lambda promise, job, _: broken.append((promise, job)))
    return broken


def test_a_run_that_is_given_what_another_one_recorded_is_well() -> None:
    assert found(begun(0), *step(1, 7), begun(2, 1), *step(3, 7, fence=1, done=False)) == []


def test_a_run_that_was_replaced_before_it_began_may_do_a_step_again() -> None:
    """A node whose loop was blocked begins what it had taken, before it hears that another one has it."""
    late = [begun(3, pid=2), told(3.1, "stepped", "charge", pid=2)]
    assert found(begun(0, 1), *step(1, 7, fence=1), *late) == []


def test_a_run_that_is_given_something_else_is_told() -> None:
    assert found(begun(0), *step(1, 7), begun(2, 1), *step(3, 8, fence=1, done=False)) == [(RECORDED, "a")]


def test_a_step_that_was_not_recorded_may_be_done_again() -> None:
    assert found(begun(0), told(1, "stepped", "charge"), begun(2, 1), *step(3, 7, fence=1)) == []


def test_a_step_that_is_done_again_although_it_was_known_is_told() -> None:
    assert found(begun(0), *step(1, 7), begun(2, 1), *step(3, 7, fence=1)) == [(NOT_AGAIN, "a")]


def test_a_run_that_had_begun_before_that_could_not_know() -> None:
    """A node that was away goes on while its heir has recorded."""
    assert found(begun(0), begun(1, 1, pid=2), *step(2, 7, fence=1, pid=2), told(3, "stepped", "charge")) == []


@pytest.mark.parametrize(("woke", "expected"), [(5.0, []), (4.9, [(SLEPT, "a")])])
def test_who_wakes_early_is_told(woke: float, expected: list[tuple[str, str]]) -> None:
    slept, again = told(1, "slept", "pause", seconds=4), told(4, "slept", "pause", seconds=4, fence=1)
    assert found(begun(0), slept, begun(3, 1), again, told(woke, "woke", "pause", fence=1)) == expected


@pytest.mark.parametrize(("ahead", "expected"), [(2.0, []), (0.5, [(SLEPT, "a")]), (-2.0, [(SLEPT, "a")])])
def test_who_wakes_by_a_clock_that_was_set_meanwhile_is_early_by_more_than_that(
    ahead: float, expected: list[tuple[str, str]]
) -> None:
    slept, woke = told(1, "slept", "pause", seconds=4), told(4, "woke", "pause", fence=1)
    assert found(*put_forward(2.5, ahead), begun(0), slept, begun(3.9, 1), woke) == expected


def test_one_that_goes_on_late_by_a_clock_that_was_put_back_is_not_late() -> None:
    slept, woke = told(1, "slept", "pause", seconds=5), told(9.5, "woke", "pause", fence=1)
    assert found(*put_forward(2, -1), begun(0), slept, woke) == []
    assert found(*put_forward(2, 1), begun(0), slept, woke) == [(IN_TIME, "a")]


def test_one_whose_time_was_over_sooner_by_a_clock_that_was_put_forward_did_not_miss_its_event() -> None:
    waits, over = told(1, "waits", "go", seconds=4), told(4.5, "timed_out", "go", fence=1)
    assert found(*put_forward(2, 1), begun(0), waits, sent(4.2, 7), over) == []
    assert found(*put_forward(2, 0.2), begun(0), waits, sent(4.2, 7), over) == [(HEARD, "a")]


def test_an_event_that_was_heard_as_it_was_sent_is_well() -> None:
    waits, heard = told(1, "waits", "go"), told(3, "heard", "go", fence=1, value=7)
    assert found(begun(0), waits, sent(2, 7), begun(2.5, 1), heard, sent(4, 8, "sent_late")) == []
    assert found(begun(0), waits, sent(2, 7, "sent_info"), heard, sent(4, 8, "sent_late")) == []


def test_one_who_heard_another_event_than_the_first_is_told() -> None:
    waits, heard = told(1, "waits", "go"), told(3, "heard", "go", value=8)
    assert found(begun(0), waits, sent(2, 7), sent(2.5, 8, "sent_info"), heard) == [(FIRST, "a")]
    assert (FIRST, "a") in found(begun(0), waits, sent(2, 7), heard)


def test_two_who_heard_different_ones_are_told() -> None:
    others = [begun(0, job="b"), told(1, "waits", "go", job="b"), told(4, "heard", "go", job="b", value=8)]
    mine = [begun(0), told(1, "waits", "go"), told(3, "heard", "go", value=7)]
    lost = [sent(2, 7, "sent_info"), sent(2.1, 8, "sent_info")]
    assert found(*mine, *others, *lost) == [(FIRST, "b")]


def test_two_first_ones_and_a_late_one_without_a_first_are_told() -> None:
    assert found(sent(1, 7), sent(2, 8)) == [(FIRST, "")]
    assert found(sent(1, 7, "sent_late")) == [(FIRST, "")]
    assert found(sent(1, 7, "sent_info"), sent(2, 8, "sent_late")) == []


@pytest.mark.parametrize(
    ("at", "what", "expected"),
    [(2.0, "sent", [(HEARD, "a")]), (4.95, "sent", []), (6.0, "sent", []), (2.0, "sent_info", [])],
)
def test_one_whose_time_was_over_although_the_event_had_come_is_told(
    at: float, what: str, expected: list[tuple[str, str]]
) -> None:
    waits = told(1, "waits", "go", seconds=4)
    assert found(begun(0), waits, sent(at, 7, what), told(5.5, "timed_out", "go", fence=1)) == expected


@pytest.mark.parametrize(("at", "expected"), [(4.9, []), (5.1, [(IN_TIME, "a")])])
def test_one_that_hears_late_is_told_unless_something_was_hurt(at: float, expected: list[tuple[str, str]]) -> None:
    waits, heard = told(1, "waits", "go"), told(at, "heard", "go", value=7, fence=1)
    assert found(begun(0), waits, sent(2, 7), heard) == expected
    assert found(begun(0), waits, sent(2, 7), heard, Event(3, "fault", name="kill", pid=9)) == []


def test_one_that_wakes_late_is_told() -> None:
    slept = told(1, "slept", "pause", seconds=1)
    assert found(begun(0), slept, told(5.5, "woke", "pause", fence=1)) == [(IN_TIME, "a")]
    assert found(begun(0), slept, told(4.5, "woke", "pause", fence=1)) == []


@pytest.mark.parametrize(
    ("accepted", "began", "expected"), [(0.5, 5.6, []), (0.5, 2, [(IN_TIME, "a")]), (4, 5.6, [(IN_TIME, "a")])]
)
def test_one_that_stands_behind_jobs_that_had_come_before_is_not_late(
    accepted: float, began: float, expected: list[tuple[str, str]]
) -> None:
    slept, woke = told(1, "slept", "pause", seconds=1), told(5.7, "woke", "pause", fence=1)
    assert found(begun(0), slept, told(accepted, "submit_ok", job="b"), begun(began, job="b"), woke) == expected


def test_one_that_waits_in_the_end_is_told() -> None:
    waits = [begun(0), told(1, "waits", "go")]
    assert found(*waits, sent(2, 7), final=STILL) == [(HEARD, "a")]
    assert found(*waits, final=STILL) == [(STRANDED, "a")]
    assert found(begun(0), told(1, "slept", "pause", seconds=1), final=STILL) == [(STRANDED, "a")]


def test_jobs_without_steps_are_none_of_its_business() -> None:
    assert found(begun(0), told(1, "end"), final=STILL) == []
