"""Load for the promises about steps, sleeps and events: few jobs, beside the plain ones."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from ironforge.errors import StoreUnavailable
from ironforge.job.json_values import encode
from ironforge.store import StoreClient
from ironforge.verify.handlers import STEPS
from ironforge.verify.ledger import Ledger
from ironforge.verify.submitter import Submitter, cancel

# Longer than a clock that is wrong for a while is ahead.
KEEP_MS: Final = 86_400_000
AGAIN_SECONDS: Final = 0.2
PATIENCE_SECONDS: Final = 0.6


class StepLoad:
    """Its jobs are among those of `submitter`."""

    def __init__(self, rng: random.Random, submitter: Submitter, store_client: StoreClient, ledger: Ledger) -> None:
        self._rng = rng
        self._submitter = submitter
        self._store_client = store_client
        self._ledger = ledger
        self._names = (f"verify:{number}" for number in itertools.count())
        # What is still to be sent, and not before this time.
        self._owed: list[tuple[float, str]] = []

    @property
    def sorts(self) -> Sequence[Callable[[], Awaitable[None]]]:
        return (
            *(self._alone, self._asleep, self._told_before, self._told_later, self._told_at_once),
            *(self._told_together, self._in_time, self._cancelled),
        )

    async def send(self) -> None:
        """Until cancelled: each event when it is due, and again until there is an answer."""
        while True:
            due = [name for at, name in self._owed if at <= time.monotonic()]
            self._owed = [(at, name) for at, name in self._owed if at > time.monotonic()]
            for name in due:
                if not await self._send(name):
                    self._owed.append((time.monotonic() + AGAIN_SECONDS, name))
            await asyncio.sleep(0.02)

    async def _alone(self) -> None:
        await self._submit([_payload(self._rng, failures=1), _payload(self._rng, seconds=0.2)])

    async def _asleep(self) -> None:
        await self._submit(
            [_payload(self._rng, pause=self._rng.uniform(0.1, 0.8), failures=int(self._rng.random() < 0.2))]
        )

    async def _told_before(self) -> None:
        name = next(self._names)
        if not await self._send(name):
            self._owe(name, 0.0)
        await self._submit([_payload(self._rng, event=name, patience=self._rng.choice((None, PATIENCE_SECONDS)))])

    async def _told_later(self) -> None:
        name = next(self._names)
        self._owe(name, self._rng.uniform(0.0, 1.0))
        await self._submit([_payload(self._rng, event=name, pause=self._rng.choice((0.0, 0.3)))])

    async def _told_at_once(self) -> None:
        """Several senders, of which one is the first."""
        name = next(self._names)
        await asyncio.gather(self._submit([_payload(self._rng, event=name)]), *(self._send(name) for _ in range(3)))
        self._owe(name, 0.0)

    async def _told_together(self) -> None:
        name = next(self._names)
        self._owe(name, self._rng.uniform(0.0, 0.5))
        await self._submit([_payload(self._rng, event=name) for _ in range(3)])

    async def _in_time(self) -> None:
        """About when their time is over, or never."""
        for at in (self._rng.uniform(0.3, 0.9), None):
            name = next(self._names)
            if at is not None:
                self._owe(name, at)
            await self._submit([_payload(self._rng, event=name, patience=PATIENCE_SECONDS)])

    async def _cancelled(self) -> None:
        name = next(self._names)
        payload = _payload(self._rng, event=name, pause=self._rng.choice((0.0, 5.0)))
        [job] = await self._submit([payload])
        await asyncio.sleep(self._rng.uniform(0.0, 0.3))
        if not await cancel(self._store_client, self._ledger, job):
            self._owe(name, 0.0)  # or it would wait for ever

    async def _submit(self, payloads: Sequence[dict[str, Any]]) -> list[str]:
        return await self._submitter.submit(payloads, STEPS)

    def _owe(self, name: str, seconds: float) -> None:
        self._owed.append((time.monotonic() + seconds, name))

    async def _send(self, name: str) -> bool:
        """Whether there was an answer."""
        value = random.getrandbits(32)  # however often it is sent, the load of a seed stays the same
        try:
            first = await self._store_client.events.send(name, encode(value, "payload"), KEEP_MS)
        except StoreUnavailable:
            self._ledger.note("sent_info", name=name, value=value)
            return False
        self._ledger.note("sent" if first else "sent_late", name=name, value=value)
        return True


def _payload(rng: random.Random, **fields: Any) -> dict[str, Any]:
    return {"seconds": rng.choice((0.0, 0.0, 0.1)), **fields}
