"""The part of the model that knows limits: which jobs hold which keys, and what rates have been used."""

from __future__ import annotations

import math
from collections import defaultdict

from hypothesis import strategies as st

from ironforge.job.limits import Limit, LimitUse, Rate
from ironforge.job.record import Job

HOUR_US = 3_600_000_000
# Heads of lines behind a rate are looked at again so much later, at most.
LOOK_US = 20_000
LIMITS = {
    "one": Limit(concurrency=1),
    "two": Limit(concurrency=2),
    "rate": Limit(rate=Rate(1, per_seconds=3600, burst=2)),
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
    "block",
    "skip",
    "park",
    "newest",
    "oldest",
    "one two",
    "two one",
    "one rate",
    "rate two",
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


def _uses(names: str, keys: str) -> tuple[LimitUse, ...]:
    return tuple(LimitUse(name, key, UNITS[key]) for name, key in zip(names.split(), keys, strict=False))


USES = st.builds(_uses, st.sampled_from(TOGETHER), st.sampled_from(["xxx", "xxx", "yxy", "xyx"]))


class Claims:
    """`holders`: by key of a limit the jobs that have its places, and since when (µs)."""

    def __init__(self) -> None:
        self.limits = dict(LIMITS)
        self.holders: dict[str, dict[bytes, int]] = defaultdict(dict)
        self._used_until: dict[str, int] = defaultdict(int)

    def closed(self, job: Job, at_us: int) -> list[LimitUse]:
        """Those of its limits that do not let it start at this time."""
        return [use for use in job.limits if not self._is_open(use, job.id, at_us)]

    def _is_open(self, use: LimitUse, job_id: bytes, at_us: int) -> bool:
        limit, holders = self.limits[use.name], self.holders[use.claim]
        if limit.concurrency is not None and job_id not in holders and len(holders) >= limit.concurrency:
            return False
        if limit.rate is None:
            return True
        used_until = max(at_us, self._used_until[use.claim])
        return used_until + use.units * HOUR_US <= at_us + limit.rate.most_at_once * HOUR_US

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
                self._used_until[use.claim] = max(at_us, self._used_until[use.claim]) + use.units * HOUR_US

    def release(self, job: Job, refunded_at_us: int | None = None, *, stays: bool = False) -> None:
        """`refunded_at_us`: when one that has not started gives back what it used of rates, but for what time has
        worked off. `stays`: it keeps its places all the same."""
        for use in job.limits:
            since = self.holders[use.claim].get(job.id)
            if not stays:
                self.holders[use.claim].pop(job.id, None)
            if since is not None and refunded_at_us is not None and job.fence == 0:
                self._used_until[use.claim] -= max(0, use.units * HOUR_US - (refunded_at_us - since))

    def is_fifo(self, job: Job) -> bool:
        return any(self.limits[use.name].order == "fifo" for use in job.limits)

    def since_us(self, job: Job) -> float:
        """When it was let in."""
        return min((self.holders[use.claim].get(job.id, math.inf) for use in job.limits), default=math.inf)

    def keeps(self, job: Job, *, dead: bool) -> bool:
        """Whether the key waits for its retry, or until it is revived."""
        policies = {self.limits[use.name].on_failure for use in job.limits}
        return "park" in policies or ("block" in policies and not dead)

    def above(self, at_us: int) -> list[str]:
        """Keys that are held by more jobs than they may, and those of rates of which more was used."""
        limit_of = {claim: self.limits[claim.partition("\n")[0]] for claim in self.holders}
        return [
            claim
            for claim, limit in limit_of.items()
            if len(self.holders[claim]) > (limit.concurrency or len(self.holders[claim]))
            or (limit.rate and self._used_until[claim] > at_us + limit.rate.most_at_once * HOUR_US)
        ]

    def holding(self) -> dict[str, set[bytes]]:
        return {claim: set(holders) for claim, holders in self.holders.items() if holders}
