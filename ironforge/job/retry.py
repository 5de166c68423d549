"""When a failed job runs again, and when it gives up: pure functions over the record.

Jitter never lifts a delay above the maximum: "at most five minutes" must hold as written.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

import msgspec

from ironforge.errors import ConfigError
from ironforge.formats.duration import Duration, is_number, seconds_of
from ironforge.formats.numbers import shown
from ironforge.job.checks import check_pause
from ironforge.job.record import Job
from ironforge.job.tracebacks import in_words


class Backoff(msgspec.Struct, frozen=True):
    """Delays: base, base·factor, base·factor² … up to `max_seconds`, each ± the fraction `jitter`.

    A subclass may count otherwise: what its `delay_seconds` returns is a pause, or the default one is taken. Raises
    ConfigError when a value is out of range.
    """

    base_seconds: Duration = 2.0
    factor: float = 2.0
    max_seconds: Duration = 300.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        for name, low, high in (
            ("base_seconds", 0.0, 604_800.0),
            ("factor", 1.0, 1_000.0),
            ("max_seconds", 0.0, 604_800.0),
            ("jitter", 0.0, 1.0),
        ):
            value = seconds_of(getattr(self, name))
            if not is_number(value):
                raise ConfigError(f"Backoff: {name} must be a number, not {type(value).__name__}")
            if not low <= value <= high:
                raise ConfigError(f"Backoff: {name}={shown(value)} is out of range: {shown(low)} to {shown(high)}")

    def delay_seconds(self, failed_attempts: int, rng: Random) -> float:
        """The pause after the `failed_attempts`-th failure, counted from 1."""
        base: float = seconds_of(self.base_seconds)
        longest: float = seconds_of(self.max_seconds)
        try:
            delay = base * self.factor ** max(failed_attempts - 1, 0)
        except OverflowError:
            delay = longest
        delay = min(delay, longest)
        return min(delay * (1 + self.jitter * rng.uniform(-1, 1)), longest)


class Verdict(NamedTuple):
    """What happens to a job whose attempt failed: again in `delay_ms`, or never (the dead letter).

    `problem`: why its kind's own backoff could not be used, and the default one was.
    """

    retry: bool
    delay_ms: int
    problem: str = ""


def decide(job: Job, *, max_retries: int, backoff: Backoff, after_ms: int | None, rng: Random) -> Verdict:
    """`job` has its failure counted already; its own `max_retries` beats the given one of its kind or node.

    `after_ms` is the pause the handler asked for; None leaves it to `backoff`.
    """
    limit = max_retries if job.max_retries is None else job.max_retries
    if job.attempt > limit:
        return Verdict(False, 0)
    if after_ms is not None:
        return Verdict(True, after_ms)
    try:
        return Verdict(True, check_pause("its pause", backoff.delay_seconds(job.attempt, rng)))
    except BaseException as error:  # noqa: BLE001 - the user's subclass may raise anything, SystemExit included
        default_ms = round(Backoff().delay_seconds(job.attempt, rng) * 1000)
        return Verdict(True, default_ms, in_words(error))
