"""Events: the first one of a name counts. It is decided in the shard of its name, and copied to the others.

Whoever sends one copies it at once; when that is interrupted nodes do it. To copy one again changes nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from redis.exceptions import RedisError

from ironforge.errors import StoreError, StoreUnavailable
from ironforge.job.record import tail_of
from ironforge.logs.setup import get_logger
from ironforge.redis.causes import said
from ironforge.redis.connection import Connection, DoorConnection
from ironforge.redis.keys import Keys
from ironforge.redis.outages import translating_errors
from ironforge.redis.scripts import COPIED, COPY_EVENT, SEND_EVENT
from ironforge.redis.shards import shards_of
from ironforge.settings import Settings
from ironforge.store.producer.admission import Admission
from ironforge.store.steps.contract import Event

LOOK_SECONDS: Final = 0.5
# Copied in one sweep.
MOST: Final = 20

log = get_logger("ironforge.store")


class EventShard(NamedTuple):
    """One shard of a namespace, as whoever copies events reaches it."""

    keys: Keys
    connection: Connection


class RedisEvents:
    """Implements `contract.Events`, for all shards of a namespace."""

    def __init__(self, settings: Settings) -> None:
        self._shards = [
            EventShard(keys, DoorConnection(settings.redis_url, keys.prefix)) for keys in shards_of(settings)
        ]
        self._admissions = [Admission(settings) for _ in self._shards]

    async def send(self, name: str, payload: bytes, keep_ms: int) -> bool:
        home = home_of(name, len(self._shards))
        keys, connection = self._shards[home]
        with translating_errors():
            await self._admissions[home].check(connection)
        names = SEND_EVENT.keys(keys, event=keys.event(name), waiters=keys.event_waiters(name))
        first = await connection.run(SEND_EVENT, names, [keys.signals, name, payload, keep_ms, len(self._shards)])
        await self._confirm(home, name, len(payload))
        if first and len(self._shards) > 1:
            try:
                await copy_event(self._shards, name)
            except StoreError as error:
                log.warning("event_not_copied_yet", event_name=name, error=str(error))
        return bool(first)

    async def get(self, name: str) -> Event | None:
        keys, connection = self._shards[home_of(name, len(self._shards))]
        value = await connection.call("GET", keys.event(name))
        return None if value is None else read_event(name, value)

    def abandon(self) -> None:
        """Let go of the connections, for their loop is closed."""
        for shard in self._shards:
            shard.connection.abandon()

    async def close(self) -> None:
        for shard in self._shards:
            await shard.connection.close()

    async def _confirm(self, home: int, name: str, size: int) -> None:
        admission, connection = self._admissions[home], self._shards[home].connection
        asked = admission.questions(1, size)
        with translating_errors():
            shortfall = admission.shortfall(await connection.exchange(asked)) if asked else ""
        if shortfall:
            raise StoreUnavailable(
                f"{shortfall}: event {name} is there, but not yet as safely as was asked; send the same again, it "
                "counts once",
                code="durability_not_confirmed",
            )


class EventCopies:
    """Copies events of one shard that are not known to be in all the others: what a sender left half done."""

    def __init__(self, shards: Sequence[EventShard], shard: int) -> None:
        self._shards = shards
        self._own = shards[shard]
        self._swept_at = -math.inf

    async def sweep_if_due(self) -> None:
        """It raises nothing: what keeps events from being copied keeps no job from falling due."""
        if len(self._shards) == 1 or time.monotonic() - self._swept_at < LOOK_SECONDS:
            return
        self._swept_at = time.monotonic()
        try:
            for name in await self._own.connection.call("SRANDMEMBER", self._own.keys.copies, MOST):
                await copy_event(self._shards, name.decode(errors="replace"))
        except (RedisError, OSError, StoreError) as error:
            log.warning("events_not_copied", error=said(error))


async def copy_event(shards: Sequence[EventShard], name: str) -> None:
    """From the shard of its name to all others, and that it is there. Raises what the connections raise."""
    home = home_of(name, len(shards))
    keys, connection = shards[home]
    value: bytes | None = await connection.call("GET", keys.event(name))
    till = value.partition(b":")[0] if value else b"0"
    done = True
    for at, shard in enumerate(shards):
        if at != home and value is not None:
            names = COPY_EVENT.keys(shard.keys, event=shard.keys.event(name), waiters=shard.keys.event_waiters(name))
            arguments: list[Any] = [shard.keys.signals, name, value, till]
            done = bool(await shard.connection.run(COPY_EVENT, names, arguments)) and done
    if done:
        await connection.run(COPIED, COPIED.keys(keys, event=keys.event(name)), [name, value or b""])


def home_of(name: str, shards: int) -> int:
    """The shard where an event of this name is decided."""
    return tail_of(name) % shards


def read_event(name: str, value: bytes) -> Event | None:
    """None for what is none."""
    until, _, payload = value.partition(b":")
    return Event(name, payload, int(until)) if until.isdigit() and len(until) <= 16 else None
