"""Looks at all schedules of a run all the time, at each shard's in one moment, and tells the ledger what they start."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from ironforge.errors import StoreUnavailable
from ironforge.process.background import in_background
from ironforge.redis.connection import Command, DoorConnection
from ironforge.redis.keys import Keys
from ironforge.redis.replies import pairs
from ironforge.redis.shards import shards_of
from ironforge.settings import Settings
from ironforge.store.retention import milliseconds
from ironforge.store.schedules.stored import Held
from ironforge.verify.ledger import Ledger
from ironforge.verify.schedules.life import Life, Look

LOOK_SECONDS: Final = 0.1


class ScheduleWatch:
    """Of schedules of these names. `lives`, `out_of_turn`, `unsure`, `refused`: see `verdict.Schedules`."""

    def __init__(self, settings: Settings, names: Sequence[str], ledger: Ledger) -> None:
        self._names = names
        self._ledger = ledger
        self._shards = [(keys, DoorConnection(settings.redis_url, keys.prefix)) for keys in shards_of(settings)]
        self._looks: dict[str, Look] = {}
        self._turn = asyncio.Lock()
        self._living: dict[str, Life] = {}
        self.lives: list[Life] = []
        self.out_of_turn: set[str] = set()
        self.unsure: set[str] = set()
        self.refused: dict[str, int] = {}

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for _, connection in self._shards:
                await stack.enter_async_context(connection)
            await stack.enter_async_context(in_background(self._keep(), "schedules are watched"))
            yield

    async def look(self) -> list[Life]:
        """Those that live. Once the server answers."""
        while True:
            try:
                async with self._turn:
                    for keys, connection in self._shards:
                        await self._look_at(keys, connection)
                    return list(self._living.values())
            except StoreUnavailable:
                await asyncio.sleep(LOOK_SECONDS)

    async def _keep(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def _look_at(self, keys: Keys, connection: DoorConnection) -> None:
        commands: list[Command] = [["MULTI"], ["TIME"], ["HGETALL", keys.schedules], ["HGETALL", keys.upcoming]]
        commands += [["LRANGE", keys.history(name), 0, -1] for name in self._names]
        replies = await connection.pipeline([*commands, ["EXEC"]])
        now, said, upcoming, *histories = replies[-1]
        look = Look.after(self._looks.get(keys.prefix), time.monotonic(), milliseconds(now))
        self._looks[keys.prefix] = look
        said, upcoming = dict(pairs(said)), dict(pairs(upcoming))
        for name, rows in zip(self._names, histories, strict=True):
            word = name.encode()
            if word in said:
                self._see(Held(name, said[word], upcoming.get(word, b"")), keys.prefix, rows, look)
            elif name in self._living and self._living[name].shard == keys.prefix:
                self._living.pop(name).gone_ms = look.now_ms

    def _see(self, held: Held, shard: str, rows: Sequence[bytes], look: Look) -> None:
        stored = held.read()
        life = self._living.get(held.name)
        if life is None or life.created_ms != stored.created_ms:
            if life is not None:
                life.gone_ms = look.now_ms
            life = self._living[held.name] = Life(held.name, shard, stored, look)
            self.lives.append(life)
        for seen in life.see(stored, held.at, rows, look):
            jobs = [seen.job] if seen.past.job_id else []
            self._ledger.note("submit_ok", jobs)
            if "cancel_running" in life.kinds_of_overlap:  # the next one asks for that
                self._ledger.note("cancel_info", jobs)
