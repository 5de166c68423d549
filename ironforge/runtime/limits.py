"""Puts the limits of an application where its nodes go by them, before the first job is taken."""

from __future__ import annotations

import msgspec

from ironforge.errors import ConfigError, QuotaExceeded
from ironforge.handlers.forge import Forge
from ironforge.settings import Settings, shares_of
from ironforge.store import StoreClient


async def define_limits(forge: Forge, settings: Settings) -> None:
    """In each namespace that the node serves. Raises ConfigError when there are too many, StoreUnavailable."""
    if not forge.limits:
        return
    for share in shares_of(settings):
        own = msgspec.structs.replace(settings, namespace=share.namespace, namespaces=())
        store_client = StoreClient(own)
        try:
            for name, limit in forge.limits.items():
                await store_client.limits.put(name, limit)
        except QuotaExceeded as error:
            raise ConfigError(str(error)) from None
        finally:
            await store_client.close()
