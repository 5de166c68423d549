"""Whether jobs may be accepted now: asked along with submissions that go to the server anyway, so it costs no trip.

What one write needs is asked with every write, because a promise that was broken a second ago is broken. What changes
slowly (memory, settings, connected replicas) is looked at once a second, and when half of the free memory has been
filled since; it refuses the submissions that follow.
"""

from __future__ import annotations

import math
import time
from typing import Any, Final, cast

from ironforge.codes import Code
from ironforge.errors import StoreUnavailable
from ironforge.redis.connection import Command, Connection
from ironforge.redis.outages import raise_first
from ironforge.redis.server_info import config_of, info_of
from ironforge.settings import Settings
from ironforge.store.server_checks import POLICY, THROUGH, Server, look, refusal_of

LOOK_SECONDS: Final = 1.0
CONFIRMATION_MS: Final = 1_000
# What a job needs in the server beside its record, roughly.
JOB_BYTES: Final = 300
# Asked with every write: whether the server still keeps it as the mode says.
_SETTLES: Final[dict[str, Command]] = {"replicated": ["INFO", "memory"], "local": ["CONFIG", "GET", *THROUGH]}


class Admission:
    """For one connection on which one flight at a time is under way."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._looks = look(settings)
        self._settles = _SETTLES.get(settings.durability)
        self._looked_at = -math.inf
        self._refusal: StoreUnavailable | None = None
        self._bytes_until_look = math.inf

    async def check(self, connection: Connection) -> None:
        """Raises StoreUnavailable while nothing may be accepted; looks again, by itself, before it goes on refusing."""
        if self._refusal is None:
            return
        if self._overdue():
            await connection.drop()  # what refused may have stepped down since: its successor is at the same address
            self._look(*await connection.exchange(self._looks))
        if self._refusal is not None:
            raise StoreUnavailable(str(self._refusal), code=cast("Code", self._refusal.code))

    def questions(self, jobs: int, size: int) -> list[Command]:
        """To be sent behind the writes of a flight, on the same connection: `jobs` with records of `size` bytes."""
        self._bytes_until_look -= size + jobs * JOB_BYTES
        asked: list[Command] = []
        if self._settings.durability == "replicated":
            asked.append(["WAIT", self._settings.replicas, CONFIRMATION_MS])
        if self._settles:
            asked.append(self._settles)
        if self._overdue():
            asked += self._looks
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
        if self._settles and (wrong := self._changed(replies.pop(0))):
            found = f"the server is no longer set up to keep jobs: {', '.join(wrong)}"
        if replies:
            self._look(*replies)
        elif found:
            self._looked_at = -math.inf
        return found

    def _changed(self, reply: Any) -> list[str]:
        """Settings without which a write is not kept as was asked, by the reply to `_SETTLES`."""
        if self._settings.durability == "local":
            said = config_of(reply)
            kept = {name: (said.get(name, "unknown"), value) for name, value in THROUGH.items()}
        else:  # where INFO is forbidden, as on managed servers, one does without
            kept = {"maxmemory-policy": (info_of(reply).get("maxmemory_policy", POLICY), POLICY)}
        return [f"{name} is {value}" for name, (value, needed) in kept.items() if value != needed]

    def _overdue(self) -> bool:
        return self._bytes_until_look <= 0 or time.monotonic() - self._looked_at >= LOOK_SECONDS

    def _look(self, info: Any, *config: Any) -> None:
        self._looked_at = time.monotonic()
        # Who may submit need not be allowed to ask for more.
        if not isinstance(info, bytes):
            self._refusal, self._bytes_until_look = None, math.inf
            return
        server = Server.of(info, *config)
        self._refusal = refusal_of(server, self._settings)
        self._bytes_until_look = server.room(self._settings.max_memory_share) / 2
