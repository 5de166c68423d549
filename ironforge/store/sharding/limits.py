"""Limits of several shards: the same in each. A key lies in the shard of its text, as the jobs that use it."""

from __future__ import annotations

from collections.abc import Sequence

from ironforge.job.limits import Limit, LimitDefinition, Override
from ironforge.job.record import tail_of
from ironforge.store.contract import LimitKey, Limits
from ironforge.store.sharding.fan_out import gather_all


class ShardedLimits:
    """Implements `contract.Limits`. When a shard is away, those that are not have changed."""

    def __init__(self, parts: Sequence[Limits]) -> None:
        self._parts = parts

    async def put(self, name: str, limit: Limit) -> None:
        await gather_all(part.put(name, limit) for part in self._parts)

    async def override(self, name: str, override: Override | None) -> None:
        await gather_all(part.override(name, override) for part in self._parts)

    async def delete(self, name: str) -> None:
        await gather_all(part.delete(name) for part in self._parts)

    async def get(self, name: str) -> LimitDefinition:
        return await self._parts[0].get(name)

    async def all(self) -> dict[str, LimitDefinition]:
        return await self._parts[0].all()

    async def key(self, name: str, key: str = "") -> LimitKey:
        found = await gather_all(part.key(name, key) for part in self._of(key))
        nexts = [one.next_ms for one in found if one.next_ms is not None]
        stops = [one.stopped_ms for one in found if one.stopped_ms is not None]
        return LimitKey(
            sum(one.running for one in found),
            sum(one.waiting for one in found),
            sum(one.remaining for one in found),
            max(one.resets_ms for one in found),
            min(nexts, default=None),
            max(stops, default=None),
            [holder for one in found for holder in one.holders],
        )

    async def throttle(self, name: str, key: str, seconds: float) -> None:
        await gather_all(part.throttle(name, key, seconds) for part in self._of(key))

    async def used(self, name: str, key: str, more: int) -> None:
        await gather_all(part.used(name, key, more) for part in self._of(key))

    async def resume(self, name: str, key: str = "") -> int:
        return sum(await gather_all(part.resume(name, key) for part in self._of(key)))

    def _of(self, key: str) -> Sequence[Limits]:
        return [self._parts[tail_of(key) % len(self._parts)]] if key else self._parts
