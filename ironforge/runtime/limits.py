"""Announces the limits that an application defines, before its node joins, and so before it takes a job."""

from __future__ import annotations

from collections.abc import Sequence

from ironforge.errors import ConfigError, QuotaExceeded
from ironforge.job.definition import Announcement
from ironforge.settings import Settings, of_namespace, shares_of
from ironforge.store import StoreClient


async def announce_limits(limits: Sequence[Announcement], settings: Settings) -> None:
    """In each namespace that the node serves. Raises ConfigError when there are too many, StoreUnavailable."""
    if not limits:
        return
    for share in shares_of(settings):
        store_client = StoreClient(of_namespace(settings, share.namespace))
        try:
            for limit in limits:
                await store_client.limits.announce(limit)
        except QuotaExceeded as error:
            raise ConfigError(str(error)) from None
        finally:
            await store_client.close()
