"""Holds open what requests of each namespace need, where there is authentication: from the first request of a namespace
until others need the place."""

from __future__ import annotations

import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from ironforge.api.scope import TenantServices
from ironforge.auth.quota_store import QuotaStore

POOLED_TENANTS: Final = 64
QUOTA_SECONDS: Final = 15.0


class _Open:
    """The services of a namespace, how many requests use them, and how to close them."""

    def __init__(self, services: TenantServices, stack: contextlib.AsyncExitStack) -> None:
        self.services = services
        self.stack = stack
        self.users = 0
        self.quota_at = -QUOTA_SECONDS


class TenantPool:
    """`open_services` opens those of a namespace. At most `most` stay open while no request uses them."""

    def __init__(
        self,
        open_services: Callable[[str], AbstractAsyncContextManager[TenantServices]],
        quotas: QuotaStore,
        *,
        most: int = POOLED_TENANTS,
    ) -> None:
        self._open_services = open_services
        self._quotas = quotas
        self._most = most
        self._tenants: OrderedDict[str, _Open] = OrderedDict()

    @contextlib.asynccontextmanager
    async def acquire(self, namespace: str) -> AsyncIterator[TenantServices]:
        """The services of the namespace, open while the block runs. Raises StoreUnavailable."""
        place = self._tenants.get(namespace)
        if place is None:
            stack = contextlib.AsyncExitStack()
            services = await stack.enter_async_context(self._open_services(namespace))
            place = self._tenants.setdefault(namespace, _Open(services, stack))
            if place.stack is not stack:
                await stack.aclose()  # another request opened them meanwhile
        self._tenants.move_to_end(namespace)
        place.users += 1
        try:
            await self._look_up_quota(namespace, place)
            await self._make_room()
            yield place.services
        finally:
            place.users -= 1

    async def close(self) -> None:
        while self._tenants:
            _, place = self._tenants.popitem()
            await place.stack.aclose()

    async def _look_up_quota(self, namespace: str, place: _Open) -> None:
        now = time.monotonic()
        if now - place.quota_at >= QUOTA_SECONDS:
            place.services.quotas.quota = await self._quotas.get(namespace)
            place.quota_at = now

    async def _make_room(self) -> None:
        while len(self._tenants) > self._most:
            idle = next((name for name, place in self._tenants.items() if not place.users), None)
            if idle is None:
                return
            await self._tenants.pop(idle).stack.aclose()
