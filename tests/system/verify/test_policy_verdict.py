"""What the judge says of limits that cancel or stop instead of letting jobs wait, on ledgers written by hand."""

from __future__ import annotations

import pytest

from ironforge.job.expiry import EXPIRED
from ironforge.job.limits import LIMIT_FULL, PREEMPTED, claim_of
from ironforge.verify.account import Account, Ended
from ironforge.verify.ledger import Event
from ironforge.verify.limits import policy_verdict as policies
from ironforge.verify.limits.load import CROWD, PARK, REFUSING, REPLACING
from ironforge.verify.limits.policy_verdict import ends_unasked
from ironforge.verify.verdict import judge
from tests.system.verify.flow_histories import asked, fault, found, run

REFUSED = Ended("cancelled", reason=LIMIT_FULL)
REPLACED = Ended("cancelled", reason=PREEMPTED)
DONE = Ended("completed", 0, 0)
DEAD = Ended("dead", 0)


def four() -> list[Event]:
    return [event for job in "abcd" for event in asked(job, REFUSING)]


def test_those_that_come_when_a_key_is_full_are_cancelled() -> None:
    assert found(four(), run("a", 1, 2), run("b", 1, 2), a=DONE, b=DONE, c=REFUSED, d=REFUSED) == []


def test_one_that_was_cancelled_although_there_was_room_is_caught() -> None:
    assert found(four(), run("a", 1, 2), a=DONE, b=REFUSED, c=REFUSED, d=REFUSED) == [(policies.FULL, "d")]


def test_one_whose_submission_did_not_arrive_filled_nothing() -> None:
    assert found(four(), a=REFUSED) == [(policies.FULL, "a")]


def three(*more: list[Event], **finals: Ended) -> list[tuple[str, str]]:
    """They come one after the other; two run."""
    jobs = [event for at, job in enumerate("abc") for event in asked(job, REPLACING, at=at)]
    return found(jobs, *more, **finals)


def stopped(job: str, begin: float, left: float) -> list[Event]:
    return [*run(job, begin), Event(left, "left", job, pid=1)]


def test_the_oldest_makes_way() -> None:
    told = [*stopped("a", 0.1, 2.1), *run("b", 1.1, 4), *run("c", 2.2, 4)]

    assert three(told, a=REPLACED, b=DONE, c=DONE) == []


def test_a_younger_one_that_makes_way_is_caught() -> None:
    told = [*run("a", 0.1, 4), *stopped("b", 1.1, 2.1), *run("c", 2.2, 4)]

    assert three(told, a=DONE, b=REPLACED, c=DONE) == [(policies.OLDEST, "b")]


def test_one_that_a_fault_may_have_stopped_is_not() -> None:
    told = [*run("a", 0.1, 4, pid=2), *stopped("b", 1.1, 2.1), *run("c", 2.2, 4), *fault("stop", 2, 3)]

    assert three(told, a=DONE, b=REPLACED, c=DONE) == []


def test_one_that_never_ran_tells_not_when_it_made_way() -> None:
    assert three(run("a", 0.1, 4), run("c", 4.1, 5), a=DONE, b=REPLACED, c=DONE) == []


def test_one_whose_node_was_killed_when_it_had_made_way_has_not_crashed() -> None:
    jobs = [event for at, job in enumerate("abc") for event in asked(job, REPLACING, at=at)]
    told = [*stopped("a", 0.1, 2.1), *run("b", 1.1, 4, pid=2), *run("c", 2.2, 4, pid=2), *fault("kill", 2.3)]
    events = sorted([*jobs, *told], key=lambda event: event.at)

    assert judge(events, {"a": REPLACED, "b": DONE, "c": DONE}, 2).violations == []


def test_two_that_make_way_for_one_are_caught() -> None:
    told = [*stopped("a", 0.1, 2.1), *stopped("b", 1.1, 2.1), *run("c", 2.2, 4)]

    assert three(told, a=REPLACED, b=REPLACED, c=DONE) == [(policies.FULL, "b")]


def test_one_that_made_way_for_none_is_caught() -> None:
    assert three(run("a", 0.1, 1), run("b", 1.1, 2), a=DONE, b=DONE, c=REPLACED) == [(policies.OLDEST, "c")]


def behind_a_dead_job(*resumed: float, touched: bool = False, limit: str = PARK) -> list[tuple[str, str]]:
    """It dies at 2, and the next one runs at 3. An operator lets the key go on, which takes a tenth of a second."""
    first, second = asked("a", limit) + run("a", 1, 2, how="fail"), asked("b", limit, at=0.5) + run("b", 3, 4)
    told = [Event(at, "resumed", name=claim_of(limit, "a"), seconds=0.1) for at in resumed]
    return found(first, second, told, fault("pause", 1.5, 1.8) if touched else [], a=DEAD, b=DONE)


@pytest.mark.parametrize("at", [2.0, 2.5, 3.1])
def test_the_next_one_runs_when_the_key_was_let_go(at: float) -> None:
    assert behind_a_dead_job(at) == []


@pytest.mark.parametrize("times", [(), (1.9,), (3.2,), (1.9, 3.2)])
def test_one_that_runs_before_is_caught(times: tuple[float, ...]) -> None:
    assert behind_a_dead_job(*times) == [(policies.PARKED, "b")]


def test_when_a_job_died_is_not_known_where_a_fault_touched_it() -> None:
    assert behind_a_dead_job(touched=True) == []


def test_of_other_limits_none_waits_for_the_dead() -> None:
    assert behind_a_dead_job(limit="skip") == []


@pytest.mark.parametrize(
    ("limit", "expires_in", "reason", "expected"),
    [
        (REFUSING, 0.0, LIMIT_FULL, True),
        (REFUSING, 0.0, "", False),
        (REPLACING, 0.0, PREEMPTED, True),
        (REPLACING, 0.0, "", False),
        (REPLACING, 0.0, LIMIT_FULL, False),
        (CROWD, 0.0, "", False),
        (CROWD, 0.0, EXPIRED, False),
        (CROWD, 1.0, EXPIRED, True),
    ],
)
def test_a_job_is_cancelled_unasked_for_what_its_submission_says(
    limit: str, expires_in: float, reason: str, expected: bool
) -> None:
    [told, _] = asked("a", limit)
    account = Account([Event(0, "asked", "a", limits=told.limits, expires_in=expires_in)])

    assert ends_unasked(account, "a", Ended("cancelled", reason=reason)) is expected


def test_nothing_is_why_another_job_is_cancelled() -> None:
    assert ends_unasked(Account([]), "a", REPLACED) is False
