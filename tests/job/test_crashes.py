"""Which crash counts on which job, and which one buries it: a policy, so tried with everything."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.job.crashes import Crash, cleared, is_suspect, requeued
from ironforge.job.record import ERRORS_KEPT, Job
from tests.store.kit import job

budgets = st.integers(1, 100)
crashes = st.integers(0, 200)
HELD = Crash("node n died", "n")
ALONE = Crash("node n died", "n", alone=True)


@given(budgets, crashes)
def test_no_crash_among_others_buries_a_job_or_takes_a_count_back(budget: int, count: int) -> None:
    again = requeued(job(crashes=count), budget, HELD)

    assert again.ended == ""
    assert count <= again.crashes <= max(count, budget - 1, 1)


@given(budgets)
def test_crash_after_crash_makes_a_suspect_and_the_last_of_them_its_end(budget: int) -> None:
    one, seen = job(), 0
    while not one.ended:
        one = requeued(one, budget, ALONE if is_suspect(one, budget) else HELD)
        seen += 1

    assert seen == max(2, budget)
    assert one.crashes == max(2, budget)
    assert one.ended == "dead"
    assert one.reason == "poison: node n died while it ran nothing but this job"


@given(budgets, crashes, st.sampled_from([None, HELD, ALONE]))
def test_whatever_may_have_started_goes_back_with_a_higher_fence(budget: int, count: int, crash: Crash | None) -> None:
    one = job(crashes=count, fence=7)
    assert requeued(one, budget, crash).fence == 8
    assert crash is not None or count == requeued(one, budget, crash).crashes


def test_what_has_not_started_goes_back_as_it_was() -> None:
    one = job(fence=7, expires_ms=1)
    assert requeued(one, 3, may_have_started=False) == one


@given(budgets, crashes)
def test_a_run_that_ended_by_itself_clears_a_suspect_and_nobody_else(budget: int, count: int) -> None:
    one = job(crashes=count)
    assert cleared(one, budget).crashes == (0 if is_suspect(one, budget) else count)


def test_a_budget_that_has_been_raised_gives_a_suspect_more_time() -> None:
    again = requeued(job(crashes=2), 5, ALONE)
    assert again.ended == ""
    assert again.crashes == 3


@pytest.mark.parametrize(
    ("crash", "told"),
    [
        (HELD, None),
        (HELD._replace(seen="blocked the loop"), "node n died while it held this job, whose handler blocked the loop"),
        (ALONE, "node n died while it ran nothing but this job"),
        (
            ALONE._replace(seen="blocked the loop"),
            "node n died while it ran nothing but this job, whose handler blocked the loop",
        ),
    ],
)
def test_what_is_known_is_told(crash: Crash, told: str | None) -> None:
    again: Job = requeued(job(crashes=2, attempt=4), 3, crash)

    assert [error.message for error in again.errors] == ([told] if told else [])
    assert [(error.attempt, error.node) for error in again.errors] == [(5, "n")] * len(again.errors)
    assert again.reason == (f"poison: {told}" if crash.alone else "")
    assert again.attempt == 4


def test_a_record_does_not_grow_with_its_crashes() -> None:
    one = job()
    for _ in range(2 * ERRORS_KEPT):
        one = requeued(one, 3, HELD._replace(seen="blocked the loop"))
    assert len(one.errors) == ERRORS_KEPT


@pytest.mark.parametrize("crash", [HELD, ALONE])
def test_after_a_crash_it_waits_anew_and_what_never_started_has_waited_all_the_time(crash: Crash) -> None:
    one = job()
    assert abs(requeued(one, 5, crash).ready_ms - time.time() * 1000) < 60_000
    assert requeued(one, 5).ready_ms == one.ready_ms
