"""The dispatcher's demand: plain arithmetic, so plain tests."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from ironforge.actors.fetch_demand import GROWTH, LARGEST_BATCH, LARGEST_FETCH, WINDOW_SECONDS, FetchDemand

reports = st.lists(
    st.tuples(st.integers(0, 500), st.floats(0, 10), st.floats(0, 0.1)),  # ended, seconds in handlers, time since
    max_size=50,
)


def after(history: list[tuple[int, float, float]]) -> tuple[FetchDemand, float]:
    demand, now = FetchDemand(), 100.0
    for ended, seconds, pause in history:
        now += pause
        demand.ended(ended, seconds, now)
    return demand, now


def busy_with(seconds_each: float, per_second: int) -> tuple[FetchDemand, float]:
    pause = WINDOW_SECONDS * 1.25
    ended = round(per_second * pause)
    return after([(ended, ended * seconds_each, pause)] * 20)


def test_a_new_node_asks_for_one_job_a_worker() -> None:
    assert FetchDemand().batch() == 1
    assert FetchDemand().want(free_workers=8, held=0, now=100.0) == 8


@given(reports, st.integers(0, 200), st.integers(0, 1_000))
def test_demand_never_exceeds_what_free_workers_may_take(history, free, held) -> None:
    demand, now = after(history)

    assert 1 <= demand.batch() <= LARGEST_BATCH
    assert demand.want(free, held, now) <= min(free * demand.batch(), LARGEST_FETCH)


@given(reports, st.integers(1, 200), st.integers(0, 1_000))
def test_every_free_worker_is_always_worth_a_job(history, free, held) -> None:
    demand, now = after(history)

    assert demand.want(free, held, now) >= free


def test_slow_jobs_are_never_held_in_reserve() -> None:
    demand, now = busy_with(seconds_each=0.1, per_second=500)

    assert demand.batch() == 1
    assert demand.want(free_workers=3, held=61, now=now) == 3


def test_quick_jobs_come_in_batches_worth_the_window() -> None:
    demand, now = busy_with(seconds_each=0.000_01, per_second=4_000)

    assert demand.batch() == LARGEST_BATCH
    # What ended in the window that is still open counts in full: 100 so far.
    assert demand.want(free_workers=64, held=0, now=now) == GROWTH * 100
    assert demand.want(free_workers=64, held=120, now=now) == GROWTH * 100 - 120


def test_one_fetch_is_bounded_so_that_the_next_can_be_under_way_meanwhile() -> None:
    demand, now = busy_with(seconds_each=0.000_01, per_second=40_000)

    assert demand.want(free_workers=64, held=0, now=now) == LARGEST_FETCH
    assert demand.want(free_workers=56, held=LARGEST_FETCH, now=now) == LARGEST_FETCH


def test_a_node_that_turns_slow_stops_reserving_within_a_few_reports() -> None:
    demand, now = busy_with(seconds_each=0.000_01, per_second=40_000)

    for _ in range(20):
        now += WINDOW_SECONDS
        demand.ended(1, 0.1, now)

    assert demand.batch() == 1


def test_after_a_pause_the_demand_starts_from_the_free_workers_again() -> None:
    demand, now = busy_with(seconds_each=0.000_01, per_second=40_000)

    assert demand.want(free_workers=64, held=0, now=now + 10) == 64
