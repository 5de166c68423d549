"""Whose turn it is: the order is a pure policy, so its bound is proved on it and not on a running node."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ironforge.store.sharding.weighted_fair import WeightedFairScheduler

WEIGHTS = st.lists(st.integers(1, 10), min_size=2, max_size=6)


def served(rotation: WeightedFairScheduler, queued: list[int], count: int) -> list[int]:
    """Who got a job, one at a time, while everybody asks for more than there is."""
    order = []
    for _ in range(count):
        part = next((part for part in rotation.order(range(len(queued))) if queued[part]), None)
        if part is None:
            break
        queued[part] -= 1
        rotation.took(part, 1)
        order.append(part)
    return order


@given(WEIGHTS)
def test_everybody_gets_what_its_weight_says(weights: list[int]) -> None:
    rounds = 5
    order = served(WeightedFairScheduler(weights), [1_000] * len(weights), rounds * sum(weights))
    for part, weight in enumerate(weights):
        assert abs(order.count(part) - rounds * weight) <= weight + 1


@given(WEIGHTS, st.integers(0, 200))
def test_whoever_comes_late_waits_for_one_round_at_most_and_has_saved_up_nothing(
    weights: list[int], before: int
) -> None:
    """The bound: between two of its jobs, and before its first, others get no more than their weight to its own."""
    rotation = WeightedFairScheduler(weights)
    others = [0] + [10_000] * (len(weights) - 1)
    served(rotation, others, before)
    order = served(rotation, [50, *others[1:]], 200)
    between = [0]
    for part in order:
        if part:
            between[-1] += 1
        else:
            between.append(0)
    bound = sum(-(-weight // weights[0]) + 1 for weight in weights[1:])
    assert max(between[: weights[0]]) <= bound
    first_round = order[: sum(weights)]
    assert first_round.count(0) <= weights[0] + 1


@given(WEIGHTS, st.integers(0, 1_000))
def test_shares_are_never_more_than_is_wanted(weights: list[int], want: int) -> None:
    shares = WeightedFairScheduler(weights).shares(range(len(weights)), want)
    assert want - len(weights) < sum(shares.values()) <= want
