"""The quotas of namespaces, as the operator of the installation set them."""

from __future__ import annotations

from typing import Final

import msgspec

from ironforge.auth.quota import NO_QUOTA, Quota, check
from ironforge.redis.connection import DoorConnection
from ironforge.redis.ring_keys import RingKeys
from ironforge.settings import Settings

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Quota).decode


class QuotaStore:
    """One connection for a whole process. Every method raises StoreUnavailable when the server cannot be used."""

    def __init__(self, settings: Settings) -> None:
        keys = RingKeys()
        self._key = keys.quotas
        self._connection = DoorConnection(settings.redis_url, keys.prefix)

    async def get(self, namespace: str) -> Quota:
        raw = await self._connection.call("HGET", self._key, namespace)
        return _decode(raw) if raw else NO_QUOTA

    async def put(self, namespace: str, quota: Quota) -> None:
        """Counts from the next time that processes look, in 15 seconds at most. Raises ConfigError."""
        check(quota)
        if quota == NO_QUOTA:
            await self._connection.call("HDEL", self._key, namespace)
        else:
            await self._connection.call("HSET", self._key, namespace, _encode(quota))

    async def close(self) -> None:
        await self._connection.close()
