"""Load for the promises about limits, unique keys, expiry, kinds that not every node knows, and steps: few jobs, beside
the plain ones.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from ironforge.handlers.forge import Forge
from ironforge.job.limits_option import Use
from ironforge.job.unique_option import Unique
from ironforge.job.uniqueness import OnConflict
from ironforge.store import StoreClient
from ironforge.verify.handlers import NEWER_KIND, UNKNOWN_KIND, Payload
from ironforge.verify.ledger import Ledger
from ironforge.verify.limits.load import CROWD, LIMIT_KEYS, SINGLE, TURN_SECONDS, LimitLoad
from ironforge.verify.steps.load import StepLoad
from ironforge.verify.submitter import Submitter

ONCE, LATER = "once", "later"
CONFLICTS: Final[Sequence[OnConflict]] = ("return", "reject")
# Of unique keys that outlive a job that does not give them back: one without a time goes to the next job all the same.
WINDOW_SECONDS: Final = 3_600.0
# Until there is another submission with a unique key: its job has failed, and waits for its retry.
AGAIN_SECONDS: Final = 0.03
# Time enough for the first of a line that is free to start, and for every node to decline a job.
EXPIRES_IN_SECONDS: Final = 0.05
UNKNOWN_EXPIRES_IN_SECONDS: Final = 2.0


class FlowLoad:
    """`ids`: of all jobs that it tried to submit."""

    def __init__(self, rng: random.Random, forge: Forge, store_client: StoreClient, ledger: Ledger) -> None:
        self._rng = rng
        submitter = Submitter(forge, store_client, ledger)
        self._submit = submitter.submit
        self.ids = submitter.ids
        self._limits = LimitLoad(rng, submitter, store_client, ledger)
        self._steps = StepLoad(random.Random(rng.random()), submitter, store_client, ledger)
        self._sorts: Sequence[Callable[[], Awaitable[None]]] = (
            *self._limits.sorts,
            *(self._once, self._once_in_line, self._postponed, self._in_time, self._of_newer_nodes),
        )

    async def begin(self) -> None:
        """Defines the limits, and submits some jobs of every sort before there are nodes, and some that none will run.

        Of those there are no more later: what expires by a clock that was wrong for a while would wait for long."""
        await self._limits.define()
        for submit in (*self._sorts, *self._steps.sorts):
            await submit()
        await self._submit([{}] * 2, UNKNOWN_KIND, expires_in_seconds=UNKNOWN_EXPIRES_IN_SECONDS)

    async def run(self, goes_on: Callable[[], bool]) -> None:
        """All sorts in turn, each time in another order."""
        await asyncio.gather(*(self._in_turn(sorts, goes_on) for sorts in (self._sorts, self._steps.sorts)))

    async def operate(self) -> None:
        """Until cancelled: what operators and senders of events do."""
        await asyncio.gather(self._limits.operate(), self._steps.send())

    async def _in_turn(self, sorts: Sequence[Callable[[], Awaitable[None]]], goes_on: Callable[[], bool]) -> None:
        turns: list[Callable[[], Awaitable[None]]] = []
        while goes_on():
            turns = turns or self._rng.sample(sorts, len(sorts))
            await turns.pop()()
            await asyncio.sleep(TURN_SECONDS)

    async def _once(self) -> None:
        await self._submit_again(ONCE, {"failures": 1}, for_seconds=WINDOW_SECONDS)

    async def _once_in_line(self) -> None:
        key = self._rng.choice(LIMIT_KEYS)
        await self._submit_again(key, {"seconds": 0.1, "failures": 1}, limits=[Use(CROWD, key)])

    async def _submit_again(
        self, key: str, payload: Payload, *, for_seconds: float | None = None, **options: Any
    ) -> None:
        """More than one with a unique key that is held until the end: one of them is a job."""
        for _ in range(3):
            on_conflict = self._rng.choice(CONFLICTS)
            unique = Unique(key, while_="unfinished", for_seconds=for_seconds, on_conflict=on_conflict)
            await self._submit([payload], unique=unique, **options)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _postponed(self) -> None:
        """Those that come later take the place of the one that waits, or it starts later."""
        debounce = Unique(LATER, on_conflict="debounce", max_wait_seconds=1.0)
        replace = Unique(f"{LATER}-replaced", while_="unfinished", on_conflict="replace")
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


def _payload(rng: random.Random, seconds: float) -> Payload:
    return {"seconds": rng.uniform(0.0, seconds), "failures": int(rng.random() < 0.15)}
