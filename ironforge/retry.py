"""When a failed job runs again, and when it gives up: pure functions over the record.

Jitter never lifts a delay above the maximum: "at most five minutes" must hold as written.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

import msgspec

from ironforge.errors import ConfigError
from ironforge.job import Job
from ironforge.ranges import shown


class Backoff(msgspec.Struct, frozen=True):
    """Delays: base, base·factor, base·factor² … up to `max_seconds`, each ± the fraction `jitter`.

    Raises ConfigError when a value is out of range.
    """

    base_seconds: float = 2.0
    factor: float = 2.0
    max_seconds: float = 300.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        for name, low, high in (
            ("base_seconds", 0.0, 604_800.0),
            ("factor", 1.0, 1_000.0),
            ("max_seconds", 0.0, 604_800.0),
            ("jitter", 0.0, 1.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"Backoff: {name}={shown(value)} is out of range: {shown(low)} to {shown(high)}")

    def delay_seconds(self, failed_attempts: int, rng: Random) -> float:
        """The pause after the `failed_attempts`-th failure, counted from 1."""
        try:
            delay = self.base_seconds * self.factor ** max(failed_attempts - 1, 0)
        except OverflowError:
            delay = self.max_seconds
        delay = min(delay, self.max_seconds)
        return min(delay * (1 + self.jitter * rng.uniform(-1, 1)), self.max_seconds)


class Verdict(NamedTuple):
    """What happens to a job whose attempt failed: again in `delay_ms`, or never (the dead letter)."""

    retry: bool
    delay_ms: int


def decide(job: Job, *, max_retries: int, backoff: Backoff, after_ms: int | None, rng: Random) -> Verdict:
    """`job` has its failure counted already; its own `max_retries` beats the given one of its kind or node.

    `after_ms` is the pause the handler asked for; None leaves it to `backoff`.
    """
    limit = max_retries if job.max_retries is None else job.max_retries
    if job.attempt > limit:
        return Verdict(False, 0)
    if after_ms is not None:
        return Verdict(True, after_ms)
    return Verdict(True, round(backoff.delay_seconds(job.attempt, rng) * 1000))
