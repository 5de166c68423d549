"""Jobs that run with nothing else on their node, of several shards or namespaces.

Each namespace has one turn, which its first shard keeps; a node has the turn of one namespace at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

from ironforge.store.consumer.alone import RedisAlone
from ironforge.store.node_contract import Delivery
from ironforge.store.sharding.fan_out import FanOut


class ShardedAlone:
    """Implements `node_contract.Alone`. `shards`: how many parts in a row are one namespace."""

    def __init__(self, parts: Sequence[RedisAlone], shards: int) -> None:
        self._parts = parts
        self._shards = shards
        self._claims: FanOut[bool] = FanOut()
        self._claimed: int | None = None
        self._next = 0

    @property
    def wait(self) -> bool:
        return any(part.wait for part in self._parts)

    async def claim(self) -> bool:
        """The namespaces are asked in turn, one that is away only once."""
        firsts = range(0, len(self._parts), self._shards)
        for at in range(len(firsts)):
            first = firsts[(self._next + at) % len(firsts)]
            if not self._claims.asked(first) and any(part.wait for part in self._of(first)):
                self._claims.ask(first, self._parts[first].claim())
                self._next += at + 1
                break
        for first, turn in (await self._claims.answers()).items():
            if turn and self._claimed is None:
                self._claimed = first
            elif turn:  # one that is late: this node is another namespace's now
                await self._parts[first].unclaim()
        return self._claimed is not None

    async def fetch(self) -> list[Delivery]:
        assert self._claimed is not None
        for number, part in enumerate(self._of(self._claimed), self._claimed):
            for stream, entry, record in await part.fetch() if part.wait else ():
                return [(f"{number}/{stream}", entry, record)]
        return []

    async def unclaim(self) -> None:
        first, self._claimed = self._claimed, None
        if first is not None:
            await self._parts[first].unclaim()

    async def close(self) -> None:
        await self._claims.stop()

    def _of(self, first: int) -> Sequence[RedisAlone]:
        return self._parts[first : first + self._shards]
