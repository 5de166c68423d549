"""Whose turn it is among several parts: weighted, and without credit for those who had nothing to do.

Start-time fair queueing: what a part takes moves its tag on by as much as its weight says, and the lowest tag is
next. A part that was idle starts at the tag of now, not at its old one.
"""

from __future__ import annotations

from collections.abc import Sequence


class WeightedFairScheduler:
    """Parts are numbered from 0; `weights` are positive."""

    def __init__(self, weights: Sequence[int]) -> None:
        self._weights = weights
        self._tags = [0.0] * len(weights)
        self._now = 0.0

    def order(self, parts: Sequence[int]) -> list[int]:
        """The next one first."""
        return sorted(parts, key=lambda part: max(self._tags[part], self._now))

    def shares(self, parts: Sequence[int], want: int) -> dict[int, int]:
        """How many of `want` jobs each of them may have by its weight, rounded down."""
        whole = sum(self._weights[part] for part in parts)
        return {part: want * self._weights[part] // whole for part in parts}

    def took(self, part: int, count: int) -> None:
        start = max(self._tags[part], self._now)
        self._tags[part] = start + count / self._weights[part]
        self._now = start
