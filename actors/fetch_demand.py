"""How much the dispatcher asks for: pure arithmetic over what its workers did lately.

Little's law: a node that ends R jobs a second holds W seconds of work when it holds R x W jobs. W is 20 ms: enough
to hide the round trip to the server behind quick jobs, too little for a job to wait noticeably behind another one.
Slow jobs are never held in reserve: the demand is then exactly the number of free workers.
"""

from __future__ import annotations

from typing import Final

WINDOW_SECONDS: Final = 0.02
# One worker takes at most so many jobs at once, and no more than fit into this time.
LARGEST_BATCH: Final = 64
BATCH_SECONDS: Final = 0.002
# One fetch brings at most so many, so that the next one is under way while these run. Without a bound a node took
# 4,000, ran them all and only then waited for the server: 40,000 jobs/s became 62,000. 500 are no faster on one node,
# and 5 % on two, but left it 6 % larger after 1,000,000 jobs instead of 4.5 %.
LARGEST_FETCH: Final = 250
# How far the demand may grow from one window to the next.
GROWTH: Final = 2.0
SMOOTHING: Final = 0.2


class FetchDemand:
    """Times are seconds on any monotonic clock."""

    def __init__(self) -> None:
        # Assume slow jobs until seen otherwise: too little demand costs a round trip, too much costs strictness.
        self._mean_seconds = 1.0
        self._window_start = 0.0
        self._window_count = 0
        self._last_count = 0

    def ended(self, count: int, seconds: float, now: float) -> None:
        """`count` jobs ended that took `seconds` in handlers, summed."""
        self._roll(now)
        self._window_count += count
        if count:
            # Weighted by count, so that one report of many jobs counts like many reports of one.
            weight = 1 - (1 - SMOOTHING) ** min(count, 64)
            self._mean_seconds += weight * (seconds / count - self._mean_seconds)

    def _roll(self, now: float) -> None:
        elapsed = now - self._window_start
        if elapsed >= WINDOW_SECONDS:
            self._last_count = int(self._window_count * WINDOW_SECONDS / elapsed)
            self._window_start, self._window_count = now, 0

    def batch(self) -> int:
        """How many jobs one worker may take at once."""
        return max(1, min(LARGEST_BATCH, int(BATCH_SECONDS / max(self._mean_seconds, 1e-6))))

    def want(self, free_workers: int, held: int, now: float) -> int:
        """How many jobs to fetch now, while `held` are held and `free_workers` hold nothing."""
        self._roll(now)
        reserve = int(GROWTH * max(self._last_count, self._window_count)) - held
        return min(free_workers * self.batch(), max(free_workers, reserve), LARGEST_FETCH)
