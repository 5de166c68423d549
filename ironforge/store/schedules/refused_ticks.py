"""Ticks of a call that was refused as a whole.

Each is fired by itself. One whose own job is refused waits until that is accepted, or is skipped when there is no more
time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from redis.exceptions import RedisError

from ironforge.errors import Duplicate, Refused, StoreUnavailable
from ironforge.logs.setup import get_logger
from ironforge.redis.outages import is_wrong_type
from ironforge.store.schedules.advance import Advance, Advanced
from ironforge.store.schedules.claims import AGAIN_MS
from ironforge.store.schedules.shard import ScheduleShard
from ironforge.store.server_clock import ServerClock

log = get_logger("ironforge.schedules")


class RefusedTicks:
    """`note`: is told at what time what became of which."""

    def __init__(
        self,
        schedules: ScheduleShard,
        clock: ServerClock,
        note: Callable[[Sequence[Advance], int, Sequence[Advanced]], object],
    ) -> None:
        self._schedules = schedules
        self._clock = clock
        self._note = note

    async def fire(self, advances: Sequence[Advance]) -> None:
        """All at once if that can be done by now, else each by itself."""
        asked_at = time.monotonic()
        try:
            now_ms, became = await self._schedules.fire(advances)
        except (Refused, RedisError) as error:
            if isinstance(error, StoreUnavailable) or (isinstance(error, RedisError) and not is_wrong_type(error)):
                raise
            if len(advances) == 1:
                await self.put_off(advances[0], error)
            else:  # nothing was done: each of the others may be fired
                for advance in advances:
                    await self.fire([advance])
            return
        self._clock.note(now_ms, asked_at)
        self._note(advances, now_ms, became)

    async def put_off(self, advance: Advance, error: Exception | None) -> None:
        """Its job was refused: it stays where it is, and is tried again, or skipped when there is no time for that."""
        reason = error.code if isinstance(error, Refused) else "store_refused"
        log.warning("tick_refused", schedule=advance.held.name, code=reason, error=str(error))
        is_duplicate = isinstance(error, Duplicate)  # as its unique key says
        if not is_duplicate:
            await self._schedules.note_problem(advance.held.name, f"its job is refused: {reason}: {error}")
        is_last = is_duplicate or self._clock.now_ms() + AGAIN_MS >= advance.give_up_ms
        if isinstance(error, Refused) and advance.starts and (is_last or advance.skipped):
            await self.fire([advance.skipping(reason)])
