"""Limits in one shard: their definitions, what an operator says instead, and how one key of them stands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from ironforge.errors import LimitNotFound
from ironforge.job.definition import Announcement
from ironforge.job.limits import RESERVED, Limit, LimitDefinition, Override, check_limit, check_override, claim_of
from ironforge.redis.connection import Command, Connection, DoorConnection
from ironforge.redis.keys import Keys
from ironforge.redis.replies import pairs
from ironforge.redis.scripts import DEFINE, KEY_STATE, RESUME
from ironforge.settings import Settings
from ironforge.store.contract import LimitKey
from ironforge.store.kinds import VERSIONS_KEPT
from ironforge.store.quotas import all_defined
from ironforge.store.retention import score_ms

HOLDERS_NAMED: Final = 100
# Of the keys in use, which are looked through when a definition has changed.
AT_ONCE: Final = 2_000
CHANGED: Final = 1

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(LimitDefinition).decode


class RedisLimits:
    """Implements `contract.Limits`."""

    def __init__(self, settings: Settings, keys: Keys) -> None:
        self._keys = keys
        self._most = settings.max_limits
        self._connection = DoorConnection(settings.redis_url, keys.prefix)

    def abandon(self) -> None:
        """Let go of the connection, for its loop is closed."""
        self._connection.abandon()

    async def close(self) -> None:
        await self._connection.close()

    async def put(self, name: str, limit: Limit) -> None:
        await self._define(name, "limit", _encode(check_limit(name, limit)))

    async def announce(self, limit: Announcement) -> None:
        await self._define(limit.name, "limit", limit.definition, limit.digest)

    async def override(self, name: str, override: Override | None) -> None:
        if override is not None:
            check_override(name, (await self.get(name)).limit, override)
        await self._define(name, "override", b"" if override is None else _encode(override))

    async def delete(self, name: str) -> None:
        await self.get(name)
        await self._define(name, "override", b"")
        await self._define(name, "limit", b"")

    async def get(self, name: str) -> LimitDefinition:
        said = await self._connection.call("HGET", self._keys.limits, name)
        definition = _legible(said)
        if definition is None:
            raise _no_such_limit(name)
        return definition

    async def all(self) -> dict[str, LimitDefinition]:
        flat = await self._connection.call("HGETALL", self._keys.limits)
        found = {name.decode(errors="replace"): _legible(said) for name, said in pairs(flat)}
        own = {name: definition for name, definition in sorted(found.items()) if not name.startswith(RESERVED)}
        return {name: definition for name, definition in own.items() if definition is not None}

    async def key(self, name: str, key: str = "") -> LimitKey:
        claim = claim_of(name, key)
        names = KEY_STATE.keys(self._keys, holders=self._keys.holders(claim), tat=self._keys.tat(claim))
        now_ms, said, running, waiting, *rest = await self._connection.run(
            KEY_STATE, names, [name, claim, HOLDERS_NAMED]
        )
        definition = _legible(said)
        if definition is None:
            raise _no_such_limit(name)
        return _key_state(definition, now_ms, running, waiting, rest)

    async def resume(self, name: str, key: str = "") -> int:
        claim = claim_of(name, key)
        names = RESUME.keys(self._keys, holders=self._keys.holders(claim), tat=self._keys.tat(claim))
        gone: int = await self._connection.run(RESUME, names, [claim, self._keys.signals])
        return gone

    async def _define(self, name: str, part: str, said: bytes, digest: str = "") -> None:
        arguments: Command = [name, part, said, digest, VERSIONS_KEPT, self._most]
        done = await self._connection.run(DEFINE, DEFINE.keys(self._keys), arguments)
        if done == 0:
            raise _no_such_limit(name)
        if done < 0:
            advice = "use one limit with a key for each target, delete those that are not used"
            raise all_defined("limits", self._most, advice)
        if done == CHANGED:
            await offer(self._connection, self._keys, [name.encode()])


async def offer(connection: Connection, keys: Keys, names: Iterable[bytes]) -> None:
    """What waits for these limits may be let in by what holds now."""
    for name in names:
        claims, cursor = claim_of(name.decode(errors="replace"), "*"), b"0"
        while True:
            asked: Command = ["HSCAN", keys.in_use, cursor, "MATCH", claims, "COUNT", AT_ONCE]
            cursor, found = await connection.call(*asked)
            if found:
                offered: list[Command] = [["SADD", keys.room, *found[::2]], ["PUBLISH", keys.signals, "room:"]]
                await connection.pipeline(offered)
            if cursor == b"0":
                break


def effective(definition: LimitDefinition, now_ms: int) -> Limit:
    """What holds now."""
    limit, override = definition.limit, definition.override
    if override is None or 0 < override.until_ms <= now_ms:
        return limit
    # A fifo limit has 1, also where it became one when there was an override already.
    concurrency = override.concurrency if override.concurrency and limit.order != "fifo" else limit.concurrency
    rate = limit.rate if override.rate is None else override.rate
    return msgspec.structs.replace(limit, concurrency=concurrency, rate=rate)


def _key_state(definition: LimitDefinition, now_ms: int, running: int, waiting: int, rest: list[Any]) -> LimitKey:
    used, stopped, probing, due, *holders = rest
    limit = effective(definition, now_ms)
    remaining: list[int] = []
    resets_ms = now_ms
    if limit.concurrency is not None:
        remaining.append(max(0, limit.concurrency - running))
    if limit.rate is not None:
        used_us = int(used) if used.isdigit() else 0
        # By the end of this millisecond: by its beginning one that has just started would count as two.
        ahead_us = max(0, used_us - (now_ms + 1) * 1000)
        remaining.append(max(0, int(limit.rate.most_at_once - ahead_us / limit.rate.each_us)))
        resets_ms = max(now_ms, -(-used_us // 1000))
    stopped_ms = score_ms(stopped) if stopped and score_ms(stopped) > now_ms else None
    return LimitKey(
        running,
        waiting,
        0 if stopped_ms else min(remaining),
        max(resets_ms, stopped_ms or 0),
        score_ms(due) if due else None,
        stopped_ms,
        probing != b"" and stopped_ms is None,
        [(job_id, abs(round(float(since)))) for job_id, since in pairs(holders)],
    )


def _legible(said: bytes | None) -> LimitDefinition | None:
    try:
        return _decode(said or b"")
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None


def _no_such_limit(name: str) -> LimitNotFound:
    return LimitNotFound(f"there is no limit {name}: define it first", hint="define it first")
