"""What fires the ticks of one shard: in every node and every API process, as many at once as there are.

Each asks which schedules tick soon, and is told of some that no other one is told of for a time. It prepares their jobs
ahead, and fires them when their time has come, many in one call. That two fire the same tick does not matter: one of
them finds that the schedule has moved on. So nothing is lost with a process, and its share is seen to a few seconds
later.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from collections.abc import Sequence
from typing import Final

from redis.exceptions import RedisError

from ironforge.errors import StoreError
from ironforge.logs.setup import get_logger
from ironforge.redis.causes import said
from ironforge.redis.connection import Connection
from ironforge.redis.keys import Keys
from ironforge.settings import Settings
from ironforge.store.contract import Inspector
from ironforge.store.kind_catalog import KindCatalog
from ironforge.store.node_contract import TickWatch
from ironforge.store.schedules.advance import Advance, Advanced
from ironforge.store.schedules.claims import Claims
from ironforge.store.schedules.firing import FireCall
from ironforge.store.schedules.refused_ticks import RefusedTicks
from ironforge.store.schedules.shard import ScheduleShard
from ironforge.store.server_clock import ServerClock

OUTAGE_SECONDS: Final = 1.0

log = get_logger("ironforge.schedules")


class Ticker:
    """Of one shard, the `shard`th of its namespace. It sends nothing before `wake` says that there are schedules."""

    def __init__(self, settings: Settings, keys: Keys, shard: int, inspector: Inspector) -> None:
        self.namespace = settings.namespace
        self._connection = Connection(settings.redis_url, keys.prefix)
        self._schedules = ScheduleShard(settings, keys, shard, self._connection)
        self._clock = ServerClock()
        kinds = KindCatalog(inspector, settings)
        self._claims = Claims(keys, self._connection, self._schedules, kinds, self._clock)
        self._refused = RefusedTicks(self._schedules, self._clock, self._note)
        self._woken = asyncio.Event()
        self._watch: TickWatch | None = None

    def wake(self, in_ms: float) -> None:
        """Some schedule is to be looked at then."""
        if self._claims.expect(in_ms):
            self._woken.set()

    async def tick_forever(self, watch: TickWatch | None = None) -> None:
        """An outage only puts it off: what is missed meanwhile is caught up with."""
        self._watch = watch
        try:
            while True:
                self._woken.clear()
                try:
                    seconds = await self.tick()
                except (RedisError, OSError, StoreError) as error:
                    log.warning("ticks_put_off", error=said(error))
                    seconds = random.uniform(0, OUTAGE_SECONDS)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._woken.wait()
        finally:
            await self._give_back()

    async def tick(self) -> float | None:
        """Fires what is due. In how many seconds to come again; None: there are no schedules."""
        claims = self._claims
        if time.monotonic() >= claims.due_at:
            await claims.claim()
        await self._fire(claims.due())
        for call in claims.far_off():  # what is to happen is decided anew, by the time of now
            claims.let_go(call)
            await self._schedules.give_back(call.advances)
        seconds = claims.seconds_left()
        return None if seconds == math.inf else max(0.001, seconds)

    async def close(self) -> None:
        await self._connection.close()

    async def _give_back(self) -> None:
        """For a process that stops: others fire in time what it was told of."""
        advances = [advance for call in self._claims.calls for advance in call.advances]
        if advances:
            with contextlib.suppress(RedisError, OSError, StoreError):
                await self._schedules.give_back(advances)

    async def _fire(self, due: Sequence[FireCall]) -> None:
        calls = [one for one in due if one.packed]
        if calls:
            asked_at = time.monotonic()
            answers = await self._schedules.fire_all(calls)
            if (first := answers[0]) is not None:
                self._clock.note(first[0], asked_at)
            for call, answer in zip(calls, answers, strict=True):
                if answer is None:
                    self._claims.let_go(call)
                    await self._refused.fire(call.advances)
                elif not self._note(call.advances, *answer):
                    self._claims.let_go(call)
        for call in due:
            if not call.packed:
                self._claims.let_go(call)
                for advance in call.advances:
                    await self._refused.put_off(advance, advance.refused)

    def _note(self, advances: Sequence[Advance], now_ms: int, became: Sequence[Advanced]) -> bool:
        """Whether it was too early for some of them."""
        soonest = math.inf
        for advance, one in zip(advances, became, strict=True):
            if one.verdict == "early":
                continue
            if self._watch is not None:
                _tell(self._watch, advance, one, now_ms)
            if one.verdict == "moved":
                soonest = 0
            elif advance.goes.at_ms is not None:
                soonest = min(soonest, advance.goes.fires_ms - now_ms)
        if soonest < math.inf:
            self.wake(soonest)
        return any(one.verdict == "early" for one in became)


def _tell(watch: TickWatch, advance: Advance, became: Advanced, now_ms: int) -> None:
    if became.verdict == "moved":
        return
    if advance.skipped is not None:
        watch.ticks_skipped(advance.skipped.reason, advance.skipped.ticks)
    if became.verdict == "started":
        watch.tick_started((now_ms - advance.fires_ms) / 1000)
    elif advance.runs:
        watch.ticks_skipped("overlap", 1)
