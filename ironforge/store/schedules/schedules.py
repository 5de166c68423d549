"""Schedules of a namespace as its doors see them.

One lies in the shard that its jobs go to; by its name all are asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from ironforge.redis.connection import DoorConnection
from ironforge.redis.shards import shards_of
from ironforge.schedules.definition import Schedule
from ironforge.settings import Settings
from ironforge.store.contract import Inspector
from ironforge.store.kind_catalog import KindCatalog
from ironforge.store.schedules.advance import Advance
from ironforge.store.schedules.contract import (
    CODE,
    Applied,
    Fired,
    PastTick,
    Pause,
    ScheduleView,
    no_such_schedule,
)
from ironforge.store.schedules.defining import Definition, apply, check_etag, home_of, passed
from ironforge.store.schedules.firing import id_at
from ironforge.store.schedules.out_of_turn import Backfill, fire_now
from ironforge.store.schedules.shard import ScheduleShard
from ironforge.store.schedules.shards import ScheduleShards
from ironforge.store.schedules.stored import Held


class RedisSchedules:
    """Implements `contract.Schedules`."""

    def __init__(self, settings: Settings, inspector: Inspector) -> None:
        self._connections = [DoorConnection(settings.redis_url, keys.prefix) for keys in shards_of(settings)]
        self._shards = ScheduleShards(settings, self._connections)
        self._announced_in = shards_of(settings)[0]
        self._kinds = KindCatalog(inspector, settings)

    def abandon(self) -> None:
        """Let go of the connections, for their loop is closed."""
        for connection in self._connections:
            connection.abandon()

    async def close(self) -> None:
        for connection in self._connections:
            await connection.close()

    async def put(
        self,
        name: str,
        schedule: Schedule,
        *,
        source: str = "",
        by: str = "",
        expected: str | None = None,
        most: int | None = None,
    ) -> ScheduleView:
        await self._kinds.refresh_if_due()
        home = await home_of(self._shards, name, schedule, self._kinds.look_up)
        return (await Definition(name, schedule, source, by, home, most).put(self._shards, expected)).view()

    async def apply(
        self,
        source: str,
        schedules: Mapping[str, Schedule],
        *,
        by: str = "",
        most: int | None = None,
        dry_run: bool = False,
    ) -> Applied:
        await self._kinds.refresh_if_due()
        look_up = self._kinds.look_up
        return await apply(self._shards, source, schedules, look_up, by=by, most=most, dry_run=dry_run)

    async def get(self, name: str) -> ScheduleView:
        views = await self._shards.views([name])
        if not views:
            raise no_such_schedule(name)
        return views[0]

    async def names(self) -> list[str]:
        return await self._shards.names()

    async def views(self, names: Sequence[str]) -> list[ScheduleView]:
        return await self._shards.views(names)

    async def delete(self, name: str, *, expected: str | None = None) -> None:
        async def attempt(shard: ScheduleShard, held: Held) -> bool | None:
            check_etag(held, expected)
            await self._forget_code_of(held)
            for other, more in await self._shards.all_of(name):
                if other is not shard:
                    await other.delete(more)
            return await shard.delete(held) or None

        await self._shards.chase(name, attempt)

    async def history(self, name: str) -> list[PastTick]:
        shard, _ = await self._shards.found(name)
        return await shard.history(name)

    async def pause(self, name: str, note: str = "", *, by: str = "", until_ms: int = 0) -> ScheduleView:
        async def attempt(shard: ScheduleShard, held: Held) -> Held | None:
            stored, now_ms = held.read(), await shard.now_ms()
            pause = Pause(note, by, now_ms, until_ms)
            return await shard.write(held, msgspec.structs.replace(stored, pause=pause), held.planned(stored, now_ms))

        return (await self._shards.chase(name, attempt)).view()

    async def resume(self, name: str) -> ScheduleView:
        async def attempt(shard: ScheduleShard, held: Held) -> Held | None:
            stored, now_ms = held.read(), await shard.now_ms()
            position, skipped, holds_ms = held.planned(stored, now_ms), None, None
            if stored.pause is not None:
                until_ms = stored.pause.until_ms or now_ms + 1
                position, skipped = await asyncio.to_thread(passed, held, stored, now_ms, until_ms, "paused")
            if stored.paused(now_ms) and position.at_ms is not None:
                # The pause goes on until this is written: a tick that fires before then is to be skipped as well.
                holds_ms = position.fires_ms
            going_on = msgspec.structs.replace(stored, pause=None)
            return await shard.write(held, going_on, position, skipped, holds_ms=holds_ms)

        return (await self._shards.chase(name, attempt)).view()

    async def trigger(self, name: str) -> Fired:
        async def attempt(shard: ScheduleShard, held: Held) -> Fired | None:
            stored, now_ms = held.read(), await shard.now_ms()
            run = shard.firing.run(name, stored.schedule, id_at(now_ms), self._kinds.look_up)
            position = held.planned(stored, now_ms)
            advance = Advance(held, position, at_ms=now_ms, reason="trigger")
            return await fire_now(shard, stored, advance.starting([run], stored.schedule.overlap))

        await self._kinds.refresh_if_due()
        return await self._shards.chase(name, attempt)

    async def backfill(
        self, name: str, start: datetime, end: datetime, *, per_second: float = 1.0, dry_run: bool = False
    ) -> list[tuple[int, bytes]]:
        await self._kinds.refresh_if_due()
        wanted = Backfill(name, start, end, per_second)
        return await wanted.submit(self._shards, self._kinds.look_up, dry_run=dry_run)

    async def _forget_code_of(self, held: Held) -> None:
        """So that nodes which have it in their code do not define it again, before another one starts."""
        if held.source() == CODE:
            await self._connections[0].call("HDEL", self._announced_in.schedule_versions, held.name)
