"""Retry decisions are pure: examples for the promised delays, properties for everything else."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.errors import ConfigError
from ironforge.job.options import JobOptions
from ironforge.job.record import Job
from ironforge.job.retry import Backoff, Verdict, decide

BACKOFFS = st.builds(
    Backoff,
    base_seconds=st.floats(0, 1000),
    factor=st.floats(1, 1000),
    max_seconds=st.floats(0, 604_800),
    jitter=st.floats(0, 1),
)


def failed_job(attempt: int, max_retries: int | None = None) -> Job:
    job = JobOptions(max_retries=max_retries).checked().job("k", b"{}")
    return msgspec.structs.replace(job, attempt=attempt)


def verdict(job: Job, *, max_retries: int = 3, after_ms: int | None = None) -> Verdict:
    return decide(job, max_retries=max_retries, backoff=Backoff(jitter=0), after_ms=after_ms, rng=Random(1))


def test_the_default_delays_double_from_two_seconds_to_five_minutes():
    backoff = Backoff(jitter=0)
    delays = [backoff.delay_seconds(failures, Random(1)) for failures in range(1, 11)]
    assert delays == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_the_default_jitter_spreads_the_first_delay_by_a_tenth():
    rng = Random(1)
    delays = [Backoff().delay_seconds(1, rng) for _ in range(2_000)]
    assert 1.8 <= min(delays) < 1.85
    assert 2.15 < max(delays) <= 2.2


@given(BACKOFFS, st.integers(0, 100_000), st.randoms(use_true_random=False))
def test_a_delay_is_never_negative_and_never_above_the_maximum(backoff, failures, rng):
    assert 0 <= backoff.delay_seconds(failures, rng) <= backoff.max_seconds


@given(BACKOFFS, st.integers(1, 1_000))
def test_without_jitter_a_later_delay_is_never_shorter(backoff, failures):
    steady = msgspec.structs.replace(backoff, jitter=0.0)
    assert steady.delay_seconds(failures, Random(1)) <= steady.delay_seconds(failures + 1, Random(1))


@given(attempt=st.integers(1, 2_000), limit=st.integers(0, 1_000))
def test_a_job_is_retried_exactly_as_often_as_its_limit_says(attempt, limit):
    assert verdict(failed_job(attempt), max_retries=limit).retry == (attempt <= limit)


def test_the_limit_of_the_job_beats_the_one_of_its_kind():
    assert verdict(failed_job(1, max_retries=1), max_retries=0) == Verdict(True, 2_000)
    assert verdict(failed_job(1, max_retries=0), max_retries=5) == Verdict(False, 0)


def test_the_pause_that_the_handler_asked_for_replaces_the_backoff():
    assert verdict(failed_job(1), after_ms=12_345) == Verdict(True, 12_345)
    assert verdict(failed_job(1), after_ms=0) == Verdict(True, 0)


def test_a_pause_does_not_lift_the_limit():
    assert verdict(failed_job(4), after_ms=1) == Verdict(False, 0)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"base_seconds": -1.0}, "base_seconds=-1"),
        ({"factor": 0.5}, "factor=0.5"),
        ({"max_seconds": float("nan")}, "max_seconds=nan"),
        ({"jitter": 1.5}, "jitter=1.5"),
    ],
)
def test_an_impossible_backoff_is_refused_by_name(values, named):
    with pytest.raises(ConfigError, match=named):
        Backoff(**values)


def test_a_backoff_takes_durations():
    backoff = Backoff(base_seconds=timedelta(seconds=1), max_seconds=timedelta(minutes=1), jitter=0)
    assert [backoff.delay_seconds(failures, Random(1)) for failures in (1, 2, 9)] == [1, 2, 60]


def test_a_backoff_takes_nothing_but_numbers():
    with pytest.raises(ConfigError, match="Backoff: base_seconds must be a number, not str"):
        Backoff(base_seconds="2")


class Own(Backoff, frozen=True):
    pause: Any = None

    def delay_seconds(self, failed_attempts: int, rng: Random) -> Any:
        if isinstance(self.pause, BaseException):
            raise self.pause
        return self.pause


def decided(pause: Any) -> Verdict:
    return decide(failed_job(1), max_retries=3, backoff=Own(pause=pause), after_ms=None, rng=Random(1))


@pytest.mark.parametrize("pause", [90, 90.0, timedelta(seconds=90)])
def test_a_backoff_of_ones_own_says_how_long(pause):
    assert decided(pause) == Verdict(True, 90_000)


@pytest.mark.parametrize("pause", [SystemExit("no"), ZeroDivisionError(), float("nan"), -1, 10**400, "2", None, True])
def test_one_that_cannot_be_used_costs_the_default_pause(pause):
    verdict = decided(pause)
    assert 1_800 <= verdict.delay_ms <= 2_200
    assert verdict.problem
