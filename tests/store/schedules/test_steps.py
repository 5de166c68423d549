"""Which tick starts a job and which is skipped, for any times and policies: each once, in order, and none early."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.schedules.definition import GRACE_MS, CatchUp, Schedule
from ironforge.store.schedules.ticking import AT_ONCE, MOST_COUNTED, Moment, Step, next_tick, step
from tests.store.schedules import kit

START_MS = 1_700_000_000_000
PERIODS = st.sampled_from([1.0, 7.5, 60.0, 3600.0])
CATCH_UPS = st.builds(
    CatchUp,
    st.sampled_from(["latest", "all", "none"]),
    st.sampled_from([0.0, 5.0, 60.0, 3600.0, 100_000.0]),
    st.sampled_from([1, 2, 1_000]),
)


def every(seconds: float, **fields: Any) -> Schedule:
    """Counted from 1970 on."""
    return kit.every(seconds, start=None, **fields)


def moves(schedule: Schedule, waits_ms: list[int], paused_until_ms: float = 0) -> list[tuple[int, Step]]:
    """What happens when it is looked at after each of these times, with when that was."""
    now_ms, done = START_MS, []
    at = next_tick("report", schedule, START_MS)
    for wait_ms in waits_ms:
        now_ms += wait_ms
        while at is not None and at.fires_ms <= now_ms:
            one = step("report", schedule, at, now_ms, paused_until_ms=paused_until_ms)
            done.append((now_ms, one))
            at = one.following
    return done


def accounted(done: list[tuple[int, Step]]) -> list[tuple[int, int, int]]:
    """First and last tick of each entry of the history, and how many they are."""
    rows = []
    for _, one in done:
        if one.skipped is not None:
            rows.append((one.skipped.first_ms, one.skipped.last_ms, one.skipped.ticks))
        if one.start is not None:
            rows.append((one.start.at_ms, one.start.at_ms, 1))
    return rows


@given(PERIODS, CATCH_UPS, st.lists(st.integers(1, 3_000_000), min_size=1, max_size=6), st.integers(0, 4_000_000))
def test_each_tick_is_accounted_for_once_and_in_order(
    period: float, catch_up: CatchUp, waits_ms: list[int], paused_ms: int
) -> None:
    schedule = every(period, catch_up=catch_up)
    done = moves(schedule, waits_ms, START_MS + paused_ms)
    period_ms = round(period * 1000)
    expected = START_MS - START_MS % period_ms + period_ms
    for first, last, ticks in accounted(done):
        assert first == expected
        assert last == first + (ticks - 1) * period_ms
        expected = last + period_ms
    assert expected > START_MS + sum(waits_ms)


@given(PERIODS, CATCH_UPS, st.lists(st.integers(1, 3_000_000), min_size=1, max_size=6))
def test_none_is_early_and_none_is_later_than_its_policy_lets_it(
    period: float, catch_up: CatchUp, waits_ms: list[int]
) -> None:
    longest_ms = max(GRACE_MS, 0 if catch_up.policy == "none" else catch_up.window_seconds * 1000)
    for now_ms, one in moves(every(period, catch_up=catch_up), waits_ms):
        assert one.fires_ms <= now_ms
        if one.start is not None:
            assert one.start.fires_ms <= now_ms <= one.start.fires_ms + longest_ms
            assert one.give_up_ms > one.start.fires_ms


@given(PERIODS, CATCH_UPS, st.integers(20_000, 3_000_000))
def test_of_those_that_were_missed_start_as_many_as_may(period: float, catch_up: CatchUp, wait_ms: int) -> None:
    missed = [
        one.start
        for now_ms, one in moves(every(period, catch_up=catch_up), [wait_ms])
        if one.start and one.start.fires_ms + GRACE_MS < now_ms
    ]
    most = {"latest": 1, "none": 0, "all": catch_up.most}[catch_up.policy]
    assert len(missed) <= most


@given(st.floats(0, 3600), st.lists(st.integers(1, 10_000_000), min_size=1, max_size=4))
def test_jitter_moves_ticks_and_no_tick_before_another(jitter: float, waits_ms: list[int]) -> None:
    schedule = every(600.0, jitter_seconds=jitter, catch_up=CatchUp("all", 1e6))
    rows = accounted(moves(schedule, waits_ms))
    assert rows == sorted(rows)


@pytest.mark.parametrize(("policy", "ticks"), [("latest", AT_ONCE - 1), ("all", AT_ONCE - 100), ("none", 9_990)])
def test_a_long_outage_is_seen_to_in_parts(policy: Any, ticks: int) -> None:
    """Those that no step could start go by at once."""
    first = Moment(START_MS, START_MS)
    one = step("report", every(1.0, catch_up=CatchUp(policy, 1e6)), first, START_MS + 10_000_000)
    assert one.start is None
    assert one.skipped is not None
    assert one.skipped.ticks == ticks
    assert one.following is not None
    assert one.following.at_ms == one.skipped.last_ms + 1000


@pytest.mark.parametrize("jitter", [0.0, 600.0])
@pytest.mark.parametrize("paused_until_ms", [0, START_MS + 50, START_MS * 2])
def test_ticks_since_1970_go_by_in_a_few_steps(jitter: float, paused_until_ms: int) -> None:
    """A server whose clock began there, or one whose data somebody has changed."""
    schedule = every(1.0, jitter_seconds=jitter)
    at: Moment | None = Moment(1000, 1000)
    steps: list[Step] = []
    while at is not None and at.fires_ms <= START_MS:
        steps.append(step("report", schedule, at, START_MS, paused_until_ms=paused_until_ms))
        at = steps[-1].following
    assert len(steps) < 20
    first = steps[0].skipped
    assert first is not None
    assert (first.first_ms, first.ticks) == (1000, MOST_COUNTED)
    assert first.reason == ("paused" if paused_until_ms else "missed")
    # None is left out between them, and what starts is no older than it may be.
    for before, after in itertools.pairwise(steps):
        last_ms = before.start.at_ms if before.start else before.skipped.last_ms if before.skipped else 0
        following_ms = after.skipped.first_ms if after.skipped else after.start.at_ms if after.start else 0
        assert last_ms < following_ms <= last_ms + 1000
    assert first.last_ms < START_MS


def test_one_that_is_to_come_is_prepared_ahead() -> None:
    first = Moment(START_MS, START_MS)
    one = step("report", every(60.0), first, START_MS - 2_000)
    assert (one.skipped, one.start, one.fires_ms) == (None, first, START_MS)
