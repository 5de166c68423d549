"""Restart policy as tables and properties: no actor is started here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.actors.kernel import Actor, ChildSpec, Exit, Restart, RestartBudget, Strategy, should_restart

ORDER = ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("restart", "why", "expected"),
    [
        (Restart.PERMANENT, Exit.NORMAL, True),
        (Restart.PERMANENT, Exit.FAILED, True),
        (Restart.PERMANENT, Exit.KILLED, True),
        (Restart.TRANSIENT, Exit.NORMAL, False),
        (Restart.TRANSIENT, Exit.FAILED, True),
        (Restart.TRANSIENT, Exit.KILLED, True),
        (Restart.TEMPORARY, Exit.NORMAL, False),
        (Restart.TEMPORARY, Exit.FAILED, False),
        (Restart.TEMPORARY, Exit.KILLED, False),
    ],
)
def test_who_starts_again(restart, why, expected):
    assert should_restart(restart, why) is expected


@pytest.mark.parametrize(
    ("strategy", "failed", "expected"),
    [
        (Strategy.ONE_FOR_ONE, "a", ("a",)),
        (Strategy.ONE_FOR_ONE, "c", ("c",)),
        (Strategy.ONE_FOR_ALL, "a", ORDER),
        (Strategy.ONE_FOR_ALL, "d", ORDER),
        (Strategy.REST_FOR_ONE, "a", ORDER),
        (Strategy.REST_FOR_ONE, "c", ("c", "d")),
        (Strategy.REST_FOR_ONE, "d", ("d",)),
    ],
)
def test_who_falls(strategy, failed, expected):
    assert strategy.fallen(ORDER, failed) == expected


def test_a_stranger_cannot_fall():
    with pytest.raises(ValueError, match="not in tuple"):
        Strategy.ONE_FOR_ALL.fallen(ORDER, "z")


orders = st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=8, unique=True).map(tuple)


@given(order=orders, strategy=st.sampled_from(Strategy), data=st.data())
def test_the_fallen_keep_their_order_and_contain_the_failed(order, strategy, data):
    failed = data.draw(st.sampled_from(order))
    fallen = strategy.fallen(order, failed)
    assert failed in fallen
    assert fallen == tuple(child for child in order if child in fallen)
    if strategy is not Strategy.ONE_FOR_ALL:
        assert fallen[0] == failed


@pytest.mark.parametrize(
    ("intensity", "times", "verdicts"),
    [
        (0, [0], [True]),
        (1, [0, 1], [False, True]),
        (2, [0, 1, 2], [False, False, True]),
        (2, [0, 1, 12], [False, False, False]),
        (2, [0, 1, 10], [False, False, True]),
        (2, [0, 1, 10.5], [False, False, False]),
    ],
)
def test_budget(intensity, times, verdicts):
    budget = RestartBudget(intensity, 10)
    history: tuple[float, ...] = ()
    seen = []
    for now in times:
        history, is_exceeded = budget.spend(history, now)
        seen.append(is_exceeded)
    assert seen == verdicts


@given(
    intensity=st.integers(0, 5),
    period=st.integers(1, 20),
    gaps=st.lists(st.integers(0, 30), max_size=30),
)
def test_a_budget_counts_exactly_the_restarts_of_its_period(intensity, period, gaps):
    budget = RestartBudget(intensity, period)
    history: tuple[float, ...] = ()
    times: list[float] = []
    for gap in gaps:
        now = gap + (times[-1] if times else 0)
        times.append(now)
        history, is_exceeded = budget.spend(history, now)
        recent = [time for time in times if time >= now - period]
        assert list(history) == recent
        assert is_exceeded is (len(recent) > intensity)


@pytest.mark.parametrize("values", [(-1, 5.0), (1, 0.0), (1, -1.0), (1, float("nan"))])
def test_a_budget_out_of_range_is_refused(values):
    with pytest.raises(ValueError, match="intensity must be 0 or more"):
        RestartBudget(*values)


@pytest.mark.parametrize(
    "values",
    [
        {"id": ""},
        {"id": "a/b"},
        {"id": "a", "shutdown_seconds": -1.0},
        {"id": "a", "shutdown_seconds": float("nan")},
        {"id": "a", "capacity": 0},
    ],
)
def test_a_child_spec_out_of_range_is_refused(values):
    with pytest.raises(ValueError, match="child"):
        ChildSpec(start=Actor, **values)
