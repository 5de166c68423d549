"""Holds open what requests of each namespace need, where there is authentication: from the first request of a namespace
until others need the place."""

from __future__ import annotations

import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from ironforge.api.scope import TenantServices
from ironforge.auth.quota_store import QuotaStore

POOLED_TENANTS: Final = 64
QUOTA_SECONDS: Final = 15.0


class _Tenant:
    """The services of a namespace, which stay open while a `with` block of one of its requests runs."""

    def __init__(self, services: TenantServices, stack: contextlib.AsyncExitStack) -> None:
        self.services = services
        self.stack = stack
        self.users = 0
        self.quota_at = -QUOTA_SECONDS

    def __enter__(self) -> TenantServices:
        self.users += 1
        return self.services

    def __exit__(self, *_exception: object) -> None:
        self.users -= 1


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
        self._tenants: OrderedDict[str, _Tenant] = OrderedDict()

    async def acquire(self, namespace: str) -> _Tenant:
        """For `with await acquire(…) as services`, without a pause between the two. Raises StoreUnavailable."""
        while (tenant := self._tenants.get(namespace)) is None:
            await self._open(namespace)
        self._tenants.move_to_end(namespace)
        now = time.monotonic()
        if now - tenant.quota_at >= QUOTA_SECONDS or len(self._tenants) > self._most:
            with tenant as services:
                services.quotas.quota = await self._quotas.get(namespace)
                tenant.quota_at = now
                await self._make_room()
        return tenant

    async def close(self) -> None:
        while self._tenants:
            _, tenant = self._tenants.popitem()
            await tenant.stack.aclose()

    async def _open(self, namespace: str) -> None:
        stack = contextlib.AsyncExitStack()
        services = await stack.enter_async_context(self._open_services(namespace))
        if namespace in self._tenants:
            await stack.aclose()  # another request opened them meanwhile
        else:
            self._tenants[namespace] = _Tenant(services, stack)

    async def _make_room(self) -> None:
        while len(self._tenants) > self._most:
            idle = next((name for name, tenant in self._tenants.items() if not tenant.users), None)
            if idle is None:
                return
            await self._tenants.pop(idle).stack.aclose()
