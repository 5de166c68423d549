"""Limits of several shards: the same in each. A key lies in the shard of its text, as the jobs that use it.

A limit without a key is not divided: its jobs lie in the shard of the empty text, for with parts of a limit jobs would
wait in one shard while another has room.
"""

from __future__ import annotations

from collections.abc import Sequence

from ironforge.job.definition import Announcement
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

    async def announce(self, limit: Announcement) -> None:
        await gather_all(part.announce(limit) for part in self._parts)

    async def override(self, name: str, override: Override | None) -> None:
        await gather_all(part.override(name, override) for part in self._parts)

    async def delete(self, name: str) -> None:
        await gather_all(part.delete(name) for part in self._parts)

    async def get(self, name: str) -> LimitDefinition:
        return await self._parts[0].get(name)

    async def all(self) -> dict[str, LimitDefinition]:
        return await self._parts[0].all()

    async def key(self, name: str, key: str = "") -> LimitKey:
        return await self._of(key).key(name, key)

    async def resume(self, name: str, key: str = "") -> int:
        return await self._of(key).resume(name, key)

    def _of(self, key: str) -> Limits:
        return self._parts[tail_of(key) % len(self._parts)]
