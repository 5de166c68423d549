"""What the judge says of limits, unique keys, expiry and declined jobs, on ledgers written by hand."""

from __future__ import annotations

import pytest

from ironforge.job.expiry import EXPIRED
from ironforge.job.limits import LimitUse
from ironforge.verify import flow_verdict as flow
from ironforge.verify.account import Ended
from ironforge.verify.handlers import KIND, NEWER_KIND
from ironforge.verify.ledger import Event
from ironforge.verify.limits.load import BLOCK, CROWD, LIMITS, SKIP, TURNSTILE
from tests.system.verify.flow_histories import asked, fault, found, run

ALL_AT_ONCE = LIMITS[CROWD].concurrency
BURST = LIMITS[TURNSTILE].rate.most_at_once


def crowd(count: int) -> list[Event]:
    """So many of one key at the same time."""
    return [event for number in range(count) for event in (*asked(f"j{number}", CROWD), *run(f"j{number}", 1, 2))]


def test_as_many_holders_as_the_limit_says_are_right() -> None:
    assert found(crowd(ALL_AT_ONCE)) == []


def test_one_holder_too_many_is_caught() -> None:
    assert found(crowd(ALL_AT_ONCE + 1)) == [(flow.HOLDERS, f"j{ALL_AT_ONCE}")]


def test_one_that_begins_when_another_one_ends_is_right() -> None:
    late = [*asked("late", CROWD), *run("late", 2, 3)]

    assert found(crowd(ALL_AT_ONCE), late) == []


def test_holders_of_another_key_do_not_count() -> None:
    other = [Event(0, "asked", "x", name=KIND, limits=(LimitUse(CROWD, "b"),)), *run("x", 1, 2)]

    assert found(crowd(ALL_AT_ONCE), other) == []


def test_a_run_on_a_node_that_is_away_holds_nothing_when_its_job_has_ended_elsewhere() -> None:
    first = [*asked("a", BLOCK), *run("a", 1, 9), *fault("pause", 1.5, 8), *run("a", 3, 4, fence=1, pid=2)]
    second = [*asked("b", BLOCK, at=0.5), *run("b", 5, 6, pid=2)]

    assert found(first, second) == []


def test_one_that_begins_while_a_killed_node_keeps_the_place_is_caught() -> None:
    first = [*asked("a", BLOCK), *run("a", 1), *fault("kill", 1.5), *run("a", 4, 5, fence=1, pid=2)]
    second = [*asked("b", BLOCK, at=0.5), *run("b", 2, 3, pid=2)]

    assert (flow.HOLDERS, "b") in found(first, second)


def test_a_place_may_have_gone_where_an_older_node_declined_the_job_of_a_killed_one() -> None:
    first = [*asked("a", BLOCK, kind=NEWER_KIND), *run("a", 1), *fault("kill", 1.5), *run("a", 4, 5, fence=1, pid=2)]
    second = [*asked("b", SKIP, at=0.5), *run("b", 2, 3, pid=2)]

    assert found(first, second, a=Ended("completed", 1, 1)) == []


def by_rate(*starts: float) -> list[Event]:
    jobs = [asked(f"j{number}", TURNSTILE) + run(f"j{number}", at, at) for number, at in enumerate(starts)]
    return [event for job in jobs for event in job]


def test_a_burst_and_then_one_after_the_other_is_right() -> None:
    assert found(by_rate(*[0.1] * BURST, 0.2, 0.3, 0.4)) == []


def test_a_start_above_the_rate_is_caught() -> None:
    assert found(by_rate(*[0.0] * (BURST + 1))) == [(flow.RATE, f"j{BURST}")]


def test_a_start_above_the_rate_long_after_the_first_ones_is_caught() -> None:
    more = [asked(f"k{number}", TURNSTILE, at=9) + run(f"k{number}", 9.02, 9.1) for number in range(BURST + 1)]

    assert found(by_rate(0.1), *more) == [(flow.RATE, f"k{BURST}")]


def test_those_that_a_node_held_before_they_started_may_come_together() -> None:
    assert found(by_rate(*[9.0] * (BURST + 5)), asked("later", TURNSTILE, at=8.9)) == []


def by_units(*units: int) -> list[Event]:
    jobs = [asked(f"j{number}", TURNSTILE, units=used) + run(f"j{number}", 0, 1) for number, used in enumerate(units)]
    return [event for job in jobs for event in job]


def test_as_many_units_as_the_burst_allows_are_right() -> None:
    assert found(by_units(1, BURST - 1)) == []


def test_a_job_that_uses_more_units_than_are_left_is_caught() -> None:
    assert found(by_units(1, BURST)) == [(flow.RATE, "j1")]


def test_a_take_over_uses_nothing_of_the_rate() -> None:
    moved = [*asked("a", TURNSTILE), *run("a", 0.01), *fault("kill", 0.02), *run("a", 0.05, 0.1, fence=1, pid=2)]

    assert found(by_rate(*[0.05] * (BURST - 1)), moved) == []


def test_a_retry_does() -> None:
    tried = [*asked("a", TURNSTILE), *run("a", 0.01, 0.02, how="fail"), *run("a", 0.05, 0.06, fence=1)]

    assert found(by_rate(*[0.05] * (BURST - 1)), tried) == [(flow.RATE, f"j{BURST - 2}")]


def in_order(limit: str, *second: float) -> list[Event]:
    """The first one fails, waits, and runs again from 3 to 4."""
    first = [*asked("a", limit), *run("a", 1, 1.5, how="fail"), *run("a", 3, 4, fence=1)]
    return [*first, *asked("b", limit, at=0.5), *run("b", *second)]


@pytest.mark.parametrize(("limit", "begin"), [(BLOCK, 5.0), (SKIP, 2.0), (SKIP, 5.0)])
def test_the_order_is_kept(limit: str, begin: float) -> None:
    assert found(in_order(limit, begin, begin + 0.5)) == []


@pytest.mark.parametrize(("limit", "begin"), [(BLOCK, 2.0), (BLOCK, 0.7), (SKIP, 0.7)])
def test_a_job_that_overtakes_another_one_is_caught(limit: str, begin: float) -> None:
    assert found(in_order(limit, begin, begin + 0.2)) == [(flow.ORDER, "b")]


def test_a_job_that_waits_although_it_could_run_is_caught() -> None:
    waited = [Event(9, "waited", "a", name=f"{CROWD}\na", seconds=1.1)]

    assert found(asked("a", CROWD), waited) == [(flow.WAITED, "a")]


def test_one_that_waits_where_a_fault_is_near_is_not() -> None:
    waited = [Event(9, "waited", "a", name=f"{CROWD}\na", seconds=1.1)]

    assert found(asked("a", CROWD), waited, fault("pause", 6, 7.5)) == []


def test_two_unfinished_jobs_of_one_unique_key_are_caught() -> None:
    first, second = asked("a", unique="u") + run("a", 1, 3), asked("b", unique="u", at=2) + run("b", 4, 5)
    ended = {"a": Ended("completed", 0, 0), "b": Ended("completed", 0, 0)}

    assert found(first, second, **ended) == [(flow.UNIQUE, "b")]


def test_one_unique_job_after_the_other_is_right() -> None:
    first, second = asked("a", unique="u") + run("a", 1, 3), asked("b", unique="u", at=3) + run("b", 4, 5)

    assert found(first, second, a=Ended("completed", 0, 0)) == []


def told_apart(at: float) -> list[Event]:
    return [Event(at, "told_apart", "a", unique="u", seconds=0.1)]


def test_a_submission_that_stands_for_an_ended_job_is_caught() -> None:
    job = asked("a", unique="u") + run("a", 1, 3)

    assert found(job, told_apart(3.2), a=Ended("completed", 0, 0)) == []
    assert found(job, told_apart(5.0), a=Ended("completed", 0, 0)) == [(flow.LET_GO, "a")]


def test_one_that_stands_for_a_job_that_a_fault_brought_back_is_right() -> None:
    job = asked("a", unique="u") + run("a", 1, 3) + fault("pause", 2.5, 4.5)

    assert found(job, told_apart(5.0), a=Ended("completed", 0, 0)) == []


@pytest.mark.parametrize(("kind", "broken"), [(NEWER_KIND, [(flow.DECLINED, "a")]), (KIND, [])])
def test_a_job_that_is_declined_for_ever_is_caught(kind: str, broken: list[tuple[str, str]]) -> None:
    assert found(asked("a", kind=kind), a=Ended("queued")) == broken


def expiring(*runs: list[Event]) -> list[Event]:
    """Accepted at 0.01, and worth nothing after 1.01."""
    told = [Event(0, "asked", "a", name=KIND, expires_in=1.0), Event(0.01, "submit_ok", "a")]
    return [*told, *(event for run in runs for event in run)]


def test_a_job_that_starts_before_it_expires_is_right() -> None:
    assert found(expiring(run("a", 1.0, 9)), a=Ended("completed", 0, 0)) == []


def test_a_job_that_starts_after_it_has_expired_is_caught() -> None:
    assert found(expiring(run("a", 1.5, 2)), a=Ended("completed", 0, 0)) == [(flow.EXPIRES, "a")]


def test_a_retry_after_that_is_right() -> None:
    runs = [run("a", 0.5, 0.9, how="fail"), run("a", 2, 3, fence=1)]

    assert found(expiring(*runs), a=Ended("completed", 1, 1)) == []


def test_a_start_after_that_is_right_where_a_node_died_that_may_have_started_it() -> None:
    assert found(expiring(run("a", 2, 3, fence=1, pid=2)), a=Ended("completed", 1, 1, crashes=1)) == []


def test_a_late_start_on_a_node_that_was_away_between_its_look_at_the_clock_and_that_is_right() -> None:
    late = [*run("a", 2.1, 3), *fault("pause", 0.5, 2)]

    assert found(expiring(late), a=Ended("completed", 0, 0)) == []


def test_a_job_that_has_expired_and_started_is_caught() -> None:
    ended = Ended("cancelled", reason=EXPIRED)

    assert found(expiring(), a=ended) == []
    assert found(expiring(run("a", 0.5)), a=ended) == [(flow.EXPIRES, "a")]
