"""Load for the promises about limits, unique keys, expiry and kinds that not every node knows: few jobs, beside the
plain ones.

Before each call the ledger is told what its jobs ask for, so that it knows of those whose answer was lost as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from ironforge.errors import Duplicate, StoreUnavailable
from ironforge.handlers.forge import Forge
from ironforge.job.limits import Limit, LimitUse, Rate
from ironforge.job.limits_option import Use
from ironforge.job.record import format_id, new_id
from ironforge.job.unique_option import Unique
from ironforge.store import StoreClient
from ironforge.verify.handlers import KIND, MAX_RETRIES, NEWER_KIND, UNKNOWN_KIND, Payload
from ironforge.verify.ledger import Ledger

CROWD, TURNSTILE, BLOCK, SKIP, PARK, SINGLE = "crowd", "turnstile", "block", "skip", "park", "single"
LIMITS: Final[Mapping[str, Limit]] = {
    CROWD: Limit(concurrency=3),
    TURNSTILE: Limit(rate=Rate(10, per_seconds=1.0, burst=3)),
    BLOCK: Limit(concurrency=1, order="fifo", on_failure="block"),
    SKIP: Limit(concurrency=1, order="fifo", on_failure="skip"),
    PARK: Limit(concurrency=1, order="fifo", on_failure="park"),
    SINGLE: Limit(concurrency=1),
}
# Of every limit; a job that has two uses the same of both, as the keys of one job lie in one shard.
LIMIT_KEYS: Final = ("a", "b")
UNIQUE_KEYS: Final = ("u", "v", "w")
# Jobs of these sorts do not come with the rate of the plain ones: what a limit lets through does not rise with that.
TURN_SECONDS: Final = 0.1
RESUME_SECONDS: Final = 0.5
# Until there is another submission with a unique key: its job has failed, and waits for its retry.
AGAIN_SECONDS: Final = 0.03
# Time enough for the first of a line that is free to start, and for every node to decline a job.
EXPIRES_IN_SECONDS: Final = 0.05
UNKNOWN_EXPIRES_IN_SECONDS: Final = 2.0


class FlowLoad:
    """`ids`: of all jobs that it tried to submit."""

    def __init__(self, rng: random.Random, forge: Forge, store_client: StoreClient, ledger: Ledger) -> None:
        self._rng = rng
        self._forge = forge
        self._store_client = store_client
        self._ledger = ledger
        self.ids: list[str] = []

    async def begin(self) -> None:
        """Defines the limits, and submits some jobs of every sort before there are nodes, and some that none will run.

        Of those there are no more later: what expires by a clock that was wrong for a while would wait for long."""
        for name, limit in LIMITS.items():
            await self._store_client.limits.put(name, limit)
        for submit in self._sorts():
            await submit()
        await self._submit([{}] * 2, UNKNOWN_KIND, expires_in_seconds=UNKNOWN_EXPIRES_IN_SECONDS)

    async def run(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            await self._rng.choice(self._sorts())()
            await asyncio.sleep(TURN_SECONDS)

    async def operate(self) -> None:
        """Until cancelled: lets keys go on that wait for dead jobs, as an operator would."""
        while True:
            for key in LIMIT_KEYS:
                with contextlib.suppress(StoreUnavailable):
                    await self._store_client.limits.resume(PARK, key)
            await asyncio.sleep(RESUME_SECONDS)

    def _sorts(self) -> Sequence[Callable[[], Awaitable[None]]]:
        return (
            *(self._in_a_crowd, self._by_rate, self._in_order),
            *(self._once, self._postponed, self._in_time, self._of_newer_nodes),
        )

    async def _in_a_crowd(self) -> None:
        names = (CROWD, TURNSTILE) if self._rng.random() < 0.2 else (CROWD,)
        kind = NEWER_KIND if self._rng.random() < 0.3 else KIND
        await self._submit([{"seconds": 0.15}] * 6, kind, limits=self._uses(*names))

    async def _by_rate(self) -> None:
        await self._submit([{}] * 8, limits=self._uses(TURNSTILE))

    async def _in_order(self) -> None:
        for name in (BLOCK, SKIP, PARK):
            failures = self._rng.choice((0, 1, 1, MAX_RETRIES + 1))
            await self._submit([{"failures": failures}, {}], limits=self._uses(name))

    async def _once(self) -> None:
        """More than one with a key that is held until the end: one of them is a job."""
        key = self._rng.choice(UNIQUE_KEYS)
        for _ in range(3):
            unique = Unique(key, while_="unfinished", on_conflict=self._rng.choice(("return", "reject")))
            await self._submit([{"failures": 1}], unique=unique)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _postponed(self) -> None:
        """Those that come later take the place of the one that waits, or it starts later."""
        key = f"{self._rng.choice(UNIQUE_KEYS)}-later"
        debounce = Unique(key, on_conflict="debounce", max_wait_seconds=1.0)
        replace = Unique(f"{key}-replaced", while_="unfinished", on_conflict="replace")
        unique = self._rng.choice((debounce, replace))
        for _ in range(2):
            await self._submit([_payload(self._rng, 0.1)], unique=unique, delay_seconds=0.3)

    async def _in_time(self) -> None:
        """One after the other, of each key: all but the first wait for longer than they are worth anything."""
        for key in LIMIT_KEYS:
            limits = [Use(SINGLE, key)]
            await self._submit([{"seconds": 0.2}] * 4, limits=limits, expires_in_seconds=EXPIRES_IN_SECONDS)
            await asyncio.sleep(TURN_SECONDS)

    async def _of_newer_nodes(self) -> None:
        await self._submit([_payload(self._rng, 0.05) for _ in range(3)], NEWER_KIND)

    def _uses(self, *names: str) -> list[Use]:
        key = self._rng.choice(LIMIT_KEYS)
        return [Use(name, key) for name in names]

    async def _submit(self, payloads: Sequence[Payload], kind: str = KIND, **options: Any) -> None:
        ids = [format_id(new_id()) for _ in payloads]
        batch = [
            self._forge.prepare(kind, payload, id=job, **options) for job, payload in zip(ids, payloads, strict=True)
        ]
        limits = [LimitUse(use.name, use.key, use.units) for use in options.get("limits", ())]
        unique = options.get("unique", Unique("")).key
        to_the_end = unique if options.get("unique", Unique("")).while_ == "unfinished" else ""
        self.ids += ids
        expires_in = options.get("expires_in_seconds", 0.0)
        self._ledger.note("asked", ids, name=kind, limits=limits, unique=to_the_end, expires_in=expires_in)
        asked = time.monotonic()
        try:
            answers = await self._store_client.producer.submit(batch)
        except StoreUnavailable:
            self._ledger.note("submit_info", ids)
        except Duplicate as error:  # also where the one that it was to take the place of has started
            self._told_apart(error.job_id, unique, asked)
        else:
            for answer in answers:
                if answer.deduplicated:
                    self._told_apart(format_id(answer.id), unique, asked)
                else:
                    self._ledger.note("submit_ok", [format_id(answer.id)])

    def _told_apart(self, job: str, unique: str, asked: float) -> None:
        self._ledger.note("told_apart", [job], unique=unique, seconds=time.monotonic() - asked)


def _payload(rng: random.Random, seconds: float) -> Payload:
    return {"seconds": rng.uniform(0.0, seconds), "failures": int(rng.random() < 0.15)}
