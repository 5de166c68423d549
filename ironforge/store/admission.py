"""Whether jobs may be accepted now: asked along with submissions that go to the server anyway, so it costs no trip.

What one write needs is asked with every write, because a promise that was broken a second ago is broken. What changes
slowly (memory, settings, connected replicas) is looked at once a second, and when half of the free memory has been
filled since; it refuses the submissions that follow.
"""

from __future__ import annotations

import math
import time
from typing import Any, Final

from ironforge.config import Settings
from ironforge.errors import StoreUnavailable
from ironforge.store.checks import LOOK, NEEDED, Server, refusal_of
from ironforge.store.info import config_of
from ironforge.store.link import Command, Link
from ironforge.store.outage import raise_first

LOOK_SECONDS: Final = 1.0
CONFIRMATION_MS: Final = 1_000
# What a job needs in the server beside its record, roughly.
JOB_BYTES: Final = 300


class Admission:
    """For one connection on which one flight at a time is under way."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._needed = NEEDED[settings.durability]
        self._looked_at = -math.inf
        self._refusal: StoreUnavailable | None = None
        self._bytes_until_look = math.inf

    async def check(self, link: Link) -> None:
        """Raises StoreUnavailable while nothing may be accepted; looks again, by itself, before it goes on refusing."""
        if self._refusal is None:
            return
        if self._overdue():
            await link.drop()  # what refused may have stepped down since: its successor is at the same address
            self._look(*await link.exchange(LOOK))
        if self._refusal is not None:
            raise StoreUnavailable(str(self._refusal), code=self._refusal.code)

    def questions(self, jobs: int, size: int) -> list[Command]:
        """To be sent behind the writes of a flight, on the same connection: `jobs` with records of `size` bytes."""
        self._bytes_until_look -= size + jobs * JOB_BYTES
        asked: list[Command] = []
        if self._settings.durability == "replicated":
            asked.append(["WAIT", self._settings.replicas, CONFIRMATION_MS])
        if self._needed:
            asked.append(["CONFIG", "GET", *self._needed])
        if self._overdue():
            asked += LOOK
        return asked

    def shortfall(self, replies: list[Any]) -> str:
        """What the writes of this flight lack, by the replies to `questions`; empty: they are as safe as was asked."""
        replies = list(replies)
        found = ""
        if self._settings.durability == "replicated":
            confirmed = replies.pop(0)
            raise_first(confirmed)
            if confirmed < self._settings.replicas:
                found = f"{confirmed} of {self._settings.replicas} replicas confirmed within {CONFIRMATION_MS} ms"
        if self._needed:
            # Where CONFIG is forbidden, as on managed servers, there is no `local`; `replicated` does without.
            said = config_of(replies.pop(0)) or ({} if self._settings.durability == "local" else self._needed)
            kept = {name: said.get(name, "unknown") for name in self._needed}
            wrong = [f"{name} is {value}" for name, value in kept.items() if value != self._needed[name]]
            found = f"the server is no longer set up to keep jobs: {', '.join(wrong)}" if wrong else found
        if replies:
            self._look(*replies)
        elif found:
            self._looked_at = -math.inf
        return found

    def _overdue(self) -> bool:
        return self._bytes_until_look <= 0 or time.monotonic() - self._looked_at >= LOOK_SECONDS

    def _look(self, info: Any, config: Any) -> None:
        self._looked_at = time.monotonic()
        # Who may submit need not be allowed to ask for more.
        if not isinstance(info, bytes):
            self._refusal, self._bytes_until_look = None, math.inf
            return
        server = Server.of(info, config)
        self._refusal = refusal_of(server, self._settings)
        self._bytes_until_look = server.room(self._settings.max_memory_share) / 2
