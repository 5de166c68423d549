"""The part of the model that knows limits: which jobs hold which keys, what rates have been used, and what an operator
says instead of the code."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

from hypothesis import strategies as st

from ironforge.job.limits import Limit, LimitUse, Override, Rate
from ironforge.job.record import Job
from tests.store.model.stops import Stops

# What one unit of a rate uses: far longer than a life takes, for the server forgets by its own clock what is over.
UNIT_US = 3_600_000_000
# Heads of lines behind a rate are looked at again so much later, at most.
LOOK_US = 20_000
LIMITS = {
    "one": Limit(concurrency=1),
    "two": Limit(concurrency=2),
    "rate": Limit(rate=Rate(1, per_seconds=3600, burst=4)),
    "both": Limit(concurrency=4, rate=Rate(1, per_seconds=3600, burst=8)),
    "block": Limit(concurrency=1, order="fifo", on_failure="block"),
    "skip": Limit(concurrency=1, order="fifo", on_failure="skip"),
    "park": Limit(concurrency=1, order="fifo", on_failure="park"),
    "newest": Limit(concurrency=1, when_full="cancel_new"),
    "oldest": Limit(concurrency=2, when_full="cancel_oldest"),
}
# A fifo limit is the only concurrency that a job waits for.
TOGETHER = (
    "",
    "one",
    "two",
    "rate",
    "both",
    "both",
    "block",
    "skip",
    "park",
    "newest",
    "oldest",
    "one two",
    "two one",
    "one rate",
    "rate two",
    "both one",
    "two both",
    "newest two",
    "two newest",
    "one oldest",
    "oldest rate",
    "two rate one",
    "block rate",
    "rate skip",
    "park rate",
)
# All jobs of a key ask for as many: else one that asks for few would wait behind one that asks for more.
UNITS = {"x": 1, "y": 2}


KEYS = st.sampled_from(["xxx", "xxx", "yxy", "xyx"])
# Of which the jobs of one life use some: few, so that they meet.
SOME_TOGETHER = st.lists(st.sampled_from(TOGETHER), min_size=1, max_size=3)


def uses(names: str, keys: str) -> tuple[LimitUse, ...]:
    return tuple(LimitUse(name, key, UNITS[key]) for name, key in zip(names.split(), keys, strict=False))


class Claims:
    """`limits`: those that are defined. `holders`: by key of a limit the jobs that have its places, and since when
    (µs). `overrides`: by limit."""

    def __init__(self) -> None:
        self.limits: dict[str, Limit] = {}
        self.overrides: dict[str, Override | None] = {}
        self.stops = Stops()
        self.holders: dict[str, dict[bytes, int]] = defaultdict(dict)
        self._used_until: dict[str, int] = defaultdict(int)

    def closed(self, job: Job, at_us: int) -> list[LimitUse]:
        """Those of its limits that do not let it start at this time."""
        return [use for use in job.limits if not self._is_open(use, job.id, at_us)]

    def _is_open(self, use: LimitUse, job_id: bytes, at_us: int) -> bool:
        holders, most = self.holders[use.claim], self._concurrency(use.name, at_us)
        if not self.stops.is_open(use.claim, job_id, at_us):
            return False
        if most is not None and job_id not in holders and len(holders) >= most:
            return False
        rate = self.limits[use.name].rate
        used_until = max(at_us, self._used_until[use.claim])
        return rate is None or used_until + use.units * UNIT_US <= at_us + rate.most_at_once * UNIT_US

    def _concurrency(self, name: str, at_us: int) -> int | None:
        override = self.overrides.get(name)
        if override is not None and (override.until_ms == 0 or at_us < override.until_ms * 1000):
            return override.concurrency
        return self.limits[name].concurrency

    def step_aside(self, job: Job, at_us: int) -> None:
        """It has its fifo key from now on, and waits for another limit: else the next one would overtake it."""
        assert [use for use in self.closed(job, at_us) if self.limits[use.name].order == "fifo"] == []
        assert self.closed(job, at_us) != []
        for use in job.limits:
            if self.limits[use.name].order == "fifo":
                self.holders[use.claim].setdefault(job.id, at_us)

    def admit(self, job: Job, at_us: int) -> None:
        for use in job.limits:
            self.holders[use.claim][job.id] = at_us
            if self.limits[use.name].rate is not None:
                self._used_until[use.claim] = max(at_us, self._used_until[use.claim]) + use.units * UNIT_US

    def start(self, job: Job, at_us: int) -> None:
        for use in job.limits:
            self.stops.start(use.claim, job.id, at_us)

    def release(self, job: Job, unstarted_us: int | None = None, *, fresh: bool = False, keeping: bool = False) -> None:
        """`unstarted_us`: now, when it was let in and has not started. If it never has (`fresh`) it gives back what it
        used of rates, but for what time has worked off. `keeping`: it has its fifo key all the same."""
        for use in job.limits:
            since = self.holders[use.claim].get(job.id)
            if since is None:
                continue
            stays = keeping and self.limits[use.name].order == "fifo"
            if stays and unstarted_us is None:  # if it was the probe, it is so no longer
                self.stops.releases(use.claim, job.id, ran=True)
                continue
            if not stays:
                del self.holders[use.claim][job.id]
            self.stops.releases(use.claim, job.id, ran=unstarted_us is None)
            if unstarted_us is not None and fresh and self.limits[use.name].rate is not None:
                self._used_until[use.claim] -= max(0, use.units * UNIT_US - (unstarted_us - since))

    def correct(self, use: LimitUse, units: int, at_us: int) -> None:
        """Its run used so many more. What is above the burst stops the key until time has worked it off."""
        rate = self.limits[use.name].rate
        assert rate is not None
        self._used_until[use.claim] = max(at_us, self._used_until[use.claim]) + units * UNIT_US
        late_us = self._used_until[use.claim] - rate.most_at_once * UNIT_US
        if late_us > at_us:
            self.stops.stop(use.claim, late_us)

    def go_on(self, name: str, claim: str, at_us: int) -> None:
        """An operator says so: with its burst used up, where more was."""
        self.stops.go_on(claim)
        if (rate := self.limits[name].rate) is not None:
            self._used_until[claim] = min(self._used_until[claim], at_us + rate.most_at_once * UNIT_US)

    def is_fifo(self, job: Job) -> bool:
        return any(self.limits[use.name].order == "fifo" for use in job.limits)

    def has_fifo_key(self, job: Job) -> bool:
        return any(self.limits[use.name].order == "fifo" and job.id in self.holders[use.claim] for use in job.limits)

    def since_us(self, job: Job) -> float:
        """When it was let in."""
        return min((self.holders[use.claim].get(job.id, math.inf) for use in job.limits), default=math.inf)

    def keeps(self, job: Job, *, dead: bool) -> bool:
        """Whether the key waits for its retry, or until it is revived."""
        policies = {self.limits[use.name].on_failure for use in job.limits}
        return "park" in policies or ("block" in policies and not dead)

    def above(self, uses: Iterable[LimitUse], at_us: int) -> list[str]:
        """Of the keys of a job that was let in those that more hold than may, or that are used at a higher rate."""
        found = []
        for use in uses:
            rate, most = self.limits[use.name].rate, self._concurrency(use.name, at_us)
            if most is not None and len(self.holders[use.claim]) > most:
                found.append(use.claim)
            if rate is not None and self._used_until[use.claim] > at_us + rate.most_at_once * UNIT_US:
                found.append(use.claim)
        return found

    def used_until(self, at_us: int) -> dict[str, int]:
        """By key of a rate, where that is later."""
        return {claim: until_us for claim, until_us in self._used_until.items() if until_us > at_us}

    def holding(self) -> dict[str, set[bytes]]:
        return {claim: set(holders) for claim, holders in self.holders.items() if holders}
