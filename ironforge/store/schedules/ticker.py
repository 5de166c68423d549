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

from ironforge.errors import Duplicate, Refused, StoreError, StoreUnavailable
from ironforge.logs.setup import get_logger
from ironforge.redis.causes import said
from ironforge.redis.connection import Connection
from ironforge.redis.keys import Keys
from ironforge.redis.outages import is_wrong_type
from ironforge.redis.replies import rows
from ironforge.redis.scripts import AUDIT_SCHEDULES, CLAIM_TICKS
from ironforge.schedules.definition import GRACE_MS
from ironforge.settings import Settings
from ironforge.store.contract import Inspector
from ironforge.store.kind_catalog import KindCatalog
from ironforge.store.node_contract import TickWatch
from ironforge.store.schedules.aim import aim, skipping
from ironforge.store.schedules.firing import Hit, Hits, Shot, Volley
from ironforge.store.schedules.shard import ScheduleShard
from ironforge.store.schedules.stored import Held
from ironforge.store.server_clock import ServerClock

# Schedules that one process is told of at once, and bytes of them; it fires them in one call. That takes the server
# 2 ms, and to prepare it takes the process 5.
AT_ONCE: Final = 100
BYTES_AT_ONCE: Final = 4 * 1024 * 1024
# Calls on their way at the same time.
CALLS_AT_ONCE: Final = 10
# How long before its time a tick is prepared at the latest, along with what is due after it, but not so much later that
# it comes with the next ones; and how long after its time others are told of it.
LEAST_AHEAD_MS: Final = 2_000
AHEAD_MS: Final = 4_000
AGAIN_MS: Final = 5_000
OUTAGE_SECONDS: Final = 1.0
# How often some schedules are looked after, and of how many.
AUDIT_SECONDS: Final = 60.0
AUDITED: Final = 500

log = get_logger("ironforge.schedules")


class Ticker:
    """Of one shard, the `shard`th of its namespace. It sends nothing before `wake` says that there are schedules."""

    def __init__(self, settings: Settings, keys: Keys, shard: int, inspector: Inspector) -> None:
        self.namespace = settings.namespace
        self._keys = keys
        self._connection = Connection(settings.redis_url, keys.prefix)
        self._schedules = ScheduleShard(settings, keys, shard, self._connection)
        self._kinds = KindCatalog(inspector, settings)
        self._clock = ServerClock()
        self._volleys: set[Volley] = set()
        self._loaded: set[Held] = set()
        self._claim_at = math.inf
        self._audit_at = -math.inf
        self._audited = b"0:0"
        self._woken = asyncio.Event()
        self._watch: TickWatch | None = None

    def wake(self, in_ms: int) -> None:
        """Some schedule is to be looked at then."""
        claim_at = time.monotonic() + max(0, in_ms - LEAST_AHEAD_MS) / 1000
        if claim_at < self._claim_at:
            self._claim_at = claim_at
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
        if time.monotonic() >= self._claim_at:
            await self._claim()
        now_ms = self._clock.now_ms()
        due = sorted((one for one in self._volleys if one.fires_ms <= now_ms), key=lambda one: one.fires_ms)
        await self._fire(due)
        for volley in [one for one in self._volleys if one.fires_ms > self._clock.now_ms() + AHEAD_MS]:
            # The clock was put back since: what is to happen is decided anew, by its time.
            self._unload(volley)
            await self._schedules.give_back(volley.shots)
        fires_ms = min((one.fires_ms for one in self._volleys), default=math.inf)
        seconds = min((fires_ms - self._clock.now_ms()) / 1000, self._claim_at - time.monotonic())
        return None if math.isinf(seconds) else max(0.001, seconds)

    async def close(self) -> None:
        await self._connection.close()

    async def _give_back(self) -> None:
        """For a process that stops: others fire in time what it was told of."""
        shots = [shot for volley in self._volleys for shot in volley.shots]
        if shots:
            with contextlib.suppress(RedisError, OSError, StoreError):
                await self._schedules.give_back(shots)

    async def _claim(self) -> None:
        await self._audit_if_due()
        asked_at = time.monotonic()
        words = [AT_ONCE, BYTES_AT_ONCE, AHEAD_MS, AGAIN_MS]
        now_ms, next_ms, *found = await self._connection.run(CLAIM_TICKS, CLAIM_TICKS.keys(self._keys), words)
        self._clock.note(now_ms, asked_at)
        self._claim_at = self._audit_at if next_ms >= 0 else math.inf
        claimed = [Held(name.decode(errors="replace"), said, at) for name, said, at in rows(found, 3)]
        if next_ms >= 0:
            self.wake(0 if len(claimed) == AT_ONCE else next_ms)
        if claimed:
            await self._kinds.refresh_if_due()
        together: dict[tuple[float, bool], list[Shot]] = {}
        for held in claimed:
            shot = None if held in self._loaded else await self._aim(held, now_ms)
            if shot is not None:
                together.setdefault((max(shot.fires_ms, now_ms), shot.refused is None), []).append(shot)
        for (fires_ms, is_well), shots in together.items():
            self._volleys.add(self._schedules.firing.volley(shots) if is_well else Volley(shots, fires_ms))
            self._loaded.update(shot.held for shot in shots)

    async def _audit_if_due(self) -> None:
        if time.monotonic() < self._audit_at:
            return
        keys = AUDIT_SCHEDULES.keys(self._keys)
        self._audited, mended = await self._connection.run(AUDIT_SCHEDULES, keys, [self._audited, AUDITED, AGAIN_MS])
        self._audit_at = time.monotonic() + AUDIT_SECONDS
        if mended:
            log.warning("schedules_mended", count=mended)

    async def _aim(self, held: Held, now_ms: int) -> Shot | None:
        """One that cannot be read, or whose ticks cannot be told, stops no other one."""
        try:
            stored = held.read()
            position = held.position()
            if position is None:
                planned = await asyncio.to_thread(held.planned, stored, now_ms)
                await self._schedules.write(held, stored, planned)
                self.wake(0)
                return None
            words = (held, stored, now_ms, self._schedules.firing, self._kinds.look_up)
            # Up to thousands of ticks that were missed may be looked at, or of times that are left out.
            is_missed = position.at_ms is not None and position.fires_ms < now_ms - GRACE_MS
            takes_long = is_missed or stored.schedule.exclude
            return await asyncio.to_thread(aim, *words) if takes_long else aim(*words)
        except (StoreUnavailable, RedisError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one of them
            log.warning("schedule_does_not_tick", schedule=held.name, error=str(error))
            await self._fault(held.name, str(error))
            return None

    async def _fire(self, due: Sequence[Volley]) -> None:
        calls = [one for one in due if one.arguments]
        answers: list[Hits | None] = []
        for at in range(0, len(calls), CALLS_AT_ONCE):
            asked_at = time.monotonic()
            first, *others = await self._schedules.fire_all(calls[at : at + CALLS_AT_ONCE])
            if first is not None:
                self._clock.note(first[0], asked_at)
            answers += (first, *others)
        for volley, answer in zip(calls, answers, strict=True):
            if answer is None:
                self._unload(volley)
                await self._fire_at_once(volley.shots)
            elif not self._note(volley.shots, *answer):
                self._unload(volley)
        for volley in due:
            if not volley.arguments:
                self._unload(volley)
                for shot in volley.shots:
                    await self._put_off(shot, shot.refused)

    def _unload(self, volley: Volley) -> None:
        self._volleys.discard(volley)
        self._loaded.difference_update(shot.held for shot in volley.shots)

    async def _fire_at_once(self, shots: Sequence[Shot]) -> None:
        if not shots:
            return
        asked_at = time.monotonic()
        try:
            now_ms, hits = await self._schedules.fire(shots)
        except (Refused, RedisError) as error:
            if isinstance(error, StoreUnavailable) or (isinstance(error, RedisError) and not is_wrong_type(error)):
                raise
            if len(shots) == 1:
                await self._put_off(shots[0], error)
            else:  # nothing was done: each of the others may be fired
                for shot in shots:
                    await self._fire_at_once([shot])
            return
        self._clock.note(now_ms, asked_at)
        self._note(shots, now_ms, hits)

    def _note(self, shots: Sequence[Shot], now_ms: int, hits: Sequence[Hit]) -> bool:
        """Whether it was too early for some of them."""
        soonest = math.inf
        for shot, hit in zip(shots, hits, strict=True):
            if hit.verdict == "early":
                continue
            if self._watch is not None:
                _tell(self._watch, shot, hit, now_ms)
            if hit.verdict == "moved":
                soonest = 0
            elif shot.goes.at_ms is not None:
                soonest = min(soonest, shot.goes.fires_ms - now_ms)
        if soonest < math.inf:
            self.wake(round(soonest))
        return any(hit.verdict == "early" for hit in hits)

    async def _put_off(self, shot: Shot, error: Exception | None) -> None:
        """Its job was refused: it stays where it is, and is tried again, or skipped when there is no time for that."""
        reason = error.code if isinstance(error, Refused) else "store_refused"
        log.warning("tick_refused", schedule=shot.held.name, code=reason, error=str(error))
        is_duplicate = isinstance(error, Duplicate)  # as its unique key says
        if not is_duplicate:
            await self._fault(shot.held.name, f"its job is refused: {reason}: {error}")
        is_last = is_duplicate or self._clock.now_ms() + AGAIN_MS >= shot.give_up_ms
        if isinstance(error, Refused) and shot.starts and (is_last or shot.skipped):
            await self._fire_at_once([skipping(shot, reason)])

    async def _fault(self, name: str, why: str) -> None:
        """A reason that the server cannot take stops no tick."""
        try:
            await self._schedules.fault(name, why)
        except RedisError as error:
            if not is_wrong_type(error):
                raise


def _tell(watch: TickWatch, shot: Shot, hit: Hit, now_ms: int) -> None:
    if hit.verdict == "moved":
        return
    if shot.skipped is not None:
        watch.ticks_skipped(shot.skipped.reason, shot.skipped.ticks)
    if hit.verdict == "started":
        watch.tick_started((now_ms - shot.fires_ms) / 1000)
    elif shot.jobs:
        watch.ticks_skipped("overlap", 1)
