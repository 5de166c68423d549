"""The schedules of one shard that this process is to fire: others are told of them only when it does not.

What is to happen to them is prepared ahead, so that at its time a command only has to be sent.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import Final

from redis.exceptions import RedisError

from ironforge.errors import StoreUnavailable
from ironforge.logs.setup import get_logger
from ironforge.redis.connection import Connection
from ironforge.redis.keys import Keys
from ironforge.redis.replies import rows
from ironforge.redis.scripts import AUDIT_SCHEDULES, CLAIM_TICKS
from ironforge.schedules.definition import GRACE_MS
from ironforge.store.kind_catalog import KindCatalog
from ironforge.store.schedules.advance import Advance
from ironforge.store.schedules.firing import FireCall
from ironforge.store.schedules.planning import plan
from ironforge.store.schedules.shard import ScheduleShard
from ironforge.store.schedules.stored import Held
from ironforge.store.server_clock import ServerClock

# Schedules that one process is told of at once, and bytes of them; it fires them in one call. That takes the server
# 2 ms, and to prepare it takes the process 5.
AT_ONCE: Final = 100
BYTES_AT_ONCE: Final = 4 * 1024 * 1024
# How long before its time a tick is prepared at the latest, along with what is due after it, but not so much later that
# it comes with the next ones; and how long after its time others are told of it.
LEAST_AHEAD_MS: Final = 2_000
AHEAD_MS: Final = 4_000
AGAIN_MS: Final = 5_000
# How often some schedules are looked after, and of how many; and how often in the first round through all, and in one
# after the server's clock was put back: what was told of ticks by a clock that was ahead may have died since.
AUDIT_SECONDS: Final = 60.0
ROUND_SECONDS: Final = 0.1
# A workflow of more nodes takes milliseconds to prepare.
LARGE: Final = 50
AUDITED: Final = 500
START: Final = b"0:0"

log = get_logger("ironforge.schedules")


class Claims:
    """Over the caller's connection."""

    def __init__(
        self, keys: Keys, connection: Connection, schedules: ScheduleShard, kinds: KindCatalog, clock: ServerClock
    ) -> None:
        self.calls: set[FireCall] = set()
        self.held: set[Held] = set()
        self._keys = keys
        self._connection = connection
        self._schedules = schedules
        self._kinds = kinds
        self._clock = clock
        self._due_at = math.inf
        self._audit_at = -math.inf
        self._audited = START
        self._is_round = True

    @property
    def due_at(self) -> float:
        """When there is something to claim, by the monotonic clock."""
        return -math.inf if self._clock.was_put_back else self._due_at

    def expect(self, in_ms: float) -> bool:
        """Some schedule is to be looked at then. Whether that is sooner than anything else."""
        at = time.monotonic() + max(0, in_ms - LEAST_AHEAD_MS) / 1000
        is_sooner = at < self._due_at
        self._due_at = min(at, self._due_at)
        return is_sooner

    async def claim(self) -> None:
        """Some more of those that tick soon."""
        await self._audit_if_due()
        asked_at = time.monotonic()
        words = [AT_ONCE, BYTES_AT_ONCE, AHEAD_MS, AGAIN_MS]
        now_ms, next_ms, *found = await self._connection.run(CLAIM_TICKS, CLAIM_TICKS.keys(self._keys), words)
        self._clock.note(now_ms, asked_at)
        self._due_at = self._audit_at if next_ms >= 0 else math.inf
        claimed = [Held(name.decode(errors="replace"), said, at) for name, said, at in rows(found, 3)]
        if next_ms >= 0:
            self.expect(0 if len(claimed) == AT_ONCE else next_ms)
        if claimed:
            await self._kinds.refresh_if_due()
        together: dict[tuple[float, bool, str], list[Advance]] = {}
        for held in claimed:
            advance = None if held in self.held else await self._plan(held, now_ms)
            if advance is not None:
                alone = held.name if advance.starts_workflows else ""
                when = max(advance.fires_ms, now_ms), advance.refused is None, alone
                together.setdefault(when, []).append(advance)
        for (fires_ms, is_well, _), advances in together.items():
            self.calls.add(self._schedules.firing.call(advances) if is_well else FireCall(advances, fires_ms))
            self.held.update(advance.held for advance in advances)

    def due(self) -> list[FireCall]:
        """Whose time has come, the earliest first."""
        now_ms = self._clock.now_ms()
        return sorted((call for call in self.calls if call.fires_ms <= now_ms), key=lambda call: call.fires_ms)

    def far_off(self) -> list[FireCall]:
        """Of a time when the server's clock was ahead of where it is now."""
        until_ms = self._clock.now_ms() + AHEAD_MS
        return [call for call in self.calls if call.fires_ms > until_ms]

    def seconds_left(self) -> float:
        """Until there is something to fire or to claim; infinite: there is nothing."""
        fires_ms = min((call.fires_ms for call in self.calls), default=math.inf)
        return min((fires_ms - self._clock.now_ms()) / 1000, self.due_at - time.monotonic())

    def let_go(self, call: FireCall) -> None:
        """It was made, or is not to be."""
        self.calls.discard(call)
        self.held.difference_update([advance.held for advance in call.advances])

    async def _audit_if_due(self) -> None:
        if self._clock.was_put_back:
            self._clock.was_put_back, self._audited, self._is_round = False, START, True
        elif time.monotonic() < self._audit_at:
            return
        keys = AUDIT_SCHEDULES.keys(self._keys)
        self._audited, mended = await self._connection.run(AUDIT_SCHEDULES, keys, [self._audited, AUDITED, AGAIN_MS])
        self._is_round = self._is_round and not self._audited.startswith(b"0:")
        self._audit_at = time.monotonic() + (ROUND_SECONDS if self._is_round else AUDIT_SECONDS)
        if mended:
            log.warning("schedules_mended", count=mended)

    async def _plan(self, held: Held, now_ms: int) -> Advance | None:
        """One that cannot be read, or whose ticks cannot be told, stops no other one."""
        try:
            stored = held.read()
            position = held.position()
            if position is None:
                planned = await asyncio.to_thread(held.planned, stored, now_ms)
                await self._schedules.write(held, stored, planned)
                self.expect(0)
                return None
            words = (held, stored, now_ms, self._schedules.firing, self._kinds.look_up)
            # Up to thousands of ticks that were missed may be looked at, or of times that are left out.
            is_missed = position.at_ms is not None and position.fires_ms < now_ms - GRACE_MS
            takes_long = is_missed or stored.schedule.exclude or stored.schedule.jobs > LARGE
            return await asyncio.to_thread(plan, *words) if takes_long else plan(*words)
        except (StoreUnavailable, RedisError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one of them
            log.warning("schedule_does_not_tick", schedule=held.name, error=str(error))
            await self._schedules.note_problem(held.name, str(error))
            return None
