"""Announces the limits that an application defines, before its node joins, and so before it takes a job."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ironforge.errors import ConfigError, QuotaExceeded
from ironforge.job.definition import Announcement
from ironforge.settings import Settings, shares_of
from ironforge.store import StoreClient


async def announce_limits(limits: Sequence[Announcement], settings: Settings) -> None:
    """In each namespace that the node serves. Raises ConfigError when there are too many, StoreUnavailable."""
    if not limits:
        return
    for share in shares_of(settings):
        own = msgspec.structs.replace(settings, namespace=share.namespace, namespaces=())
        store_client = StoreClient(own)
        try:
            for limit in limits:
                await store_client.limits.announce(limit)
        except QuotaExceeded as error:
            raise ConfigError(str(error)) from None
        finally:
            await store_client.close()
