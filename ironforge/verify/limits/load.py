"""Load for the promises about limits: few jobs of each sort, beside the plain ones."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

from ironforge.errors import StoreUnavailable
from ironforge.job.limits import RUNS, Limit, Rate, claim_of
from ironforge.job.limits_option import Use
from ironforge.store import StoreClient
from ironforge.verify.handlers import KIND, MAX_RETRIES, NEWER_KIND
from ironforge.verify.ledger import Ledger
from ironforge.verify.submitter import Submitter
from ironforge.verify.waiting import answered

CROWD, TURNSTILE, BLOCK, SKIP, PARK, SINGLE = "crowd", "turnstile", "block", "skip", "park", "single"
REFUSING, REPLACING = "refusing", "replacing"
MOST_UNITS: Final = 3
LIMITS: Final[Mapping[str, Limit]] = {
    CROWD: Limit(concurrency=3),
    TURNSTILE: Limit(rate=Rate(10, per_seconds=1.0, burst=MOST_UNITS)),
    BLOCK: Limit(concurrency=1, order="fifo", on_failure="block"),
    SKIP: Limit(concurrency=1, order="fifo", on_failure="skip"),
    PARK: Limit(concurrency=1, order="fifo", on_failure="park"),
    SINGLE: Limit(concurrency=1),
    REFUSING: Limit(concurrency=2, when_full="cancel_new"),
    REPLACING: Limit(concurrency=2, when_full="cancel_oldest"),
}
# Of every limit that lets jobs wait; the others get a key of its own for each few jobs, so it is known how many have to
# be cancelled. A job that has two limits, or a unique key as well, has one text for all, as its keys lie in one shard.
LIMIT_KEYS: Final = ("a", "b")
# Jobs of these sorts do not come with the rate of the plain ones: what a limit lets through does not rise with that.
TURN_SECONDS: Final = 0.1
RESUME_SECONDS: Final = 0.5
# Longer than one may head a line that is not to wait.
HOLD_SECONDS: Final = 2.5


# Behind which the runs of a schedule wait for each other.
RUNS_LIMIT: Final = Limit(concurrency=1, order="fifo", on_failure="block")


def limit_of(claim: str) -> Limit:
    name, _, _ = claim.partition("\n")
    return RUNS_LIMIT if name == RUNS else LIMITS[name]


class LimitLoad:
    def __init__(self, rng: random.Random, submitter: Submitter, store_client: StoreClient, ledger: Ledger) -> None:
        self._rng = rng
        self._submit = submitter.submit
        self._limits = store_client.limits
        self._ledger = ledger
        self._keys = itertools.count()

    async def define(self) -> None:
        for name, limit in LIMITS.items():
            await answered(partial(self._limits.put, name, limit))

    async def operate(self) -> None:
        """Until cancelled: lets keys go on that wait for dead jobs, as an operator would."""
        while True:
            for key in LIMIT_KEYS:
                asked = time.monotonic()
                with contextlib.suppress(StoreUnavailable):  # it may have been done all the same
                    await self._limits.resume(PARK, key)
                self._ledger.note("resumed", name=claim_of(PARK, key), seconds=time.monotonic() - asked)
            await asyncio.sleep(RESUME_SECONDS)

    @property
    def sorts(self) -> Sequence[Callable[[], Awaitable[None]]]:
        return self._in_a_crowd, self._by_rate, self._in_order, self._refused, self._replaced

    async def _in_a_crowd(self) -> None:
        names = (CROWD, TURNSTILE) if self._rng.random() < 0.2 else (CROWD,)
        kind = NEWER_KIND if self._rng.random() < 0.3 else KIND
        await self._submit([{"seconds": 0.15}] * 6, kind, limits=self._uses(*names))

    async def _by_rate(self) -> None:
        key = self._rng.choice(LIMIT_KEYS)
        for units in (MOST_UNITS, 1):
            await self._submit([{}] * 4, limits=[Use(TURNSTILE, key, units)])

    async def _in_order(self) -> None:
        for name in (BLOCK, SKIP, PARK):
            failures = self._rng.choice((0, 1, MAX_RETRIES + 1))
            await self._submit([{"failures": failures}, {}], limits=self._uses(name))

    async def _refused(self) -> None:
        await self._submit([{"seconds": HOLD_SECONDS}] * 4, limits=[Use(REFUSING, self._new_key())])

    async def _replaced(self) -> None:
        """One after the other, as it is the oldest that makes way."""
        limits = [Use(REPLACING, self._new_key())]
        for _ in range(3):
            await self._submit([{"seconds": HOLD_SECONDS}], limits=limits)
            await asyncio.sleep(TURN_SECONDS)

    def _new_key(self) -> str:
        return str(next(self._keys))

    def _uses(self, *names: str) -> list[Use]:
        key = self._rng.choice(LIMIT_KEYS)
        return [Use(name, key) for name in names]
