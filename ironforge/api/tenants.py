"""What one caller works with: the handlers of every call, over the doors of the caller's namespace.

Without authentication there is one desk for everybody. With it each namespace has an office, opened for its first
caller and closed when others need the place; each caller gets a desk there that shows its own queues only.
"""

from __future__ import annotations

import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, NamedTuple

from ironforge.api.operations.jobs import JobCalls
from ironforge.api.operations.keys import KeyCalls
from ironforge.api.operations.operator import OperatorCalls
from ironforge.api.operations.submission import OnSubmitted, SubmitCalls
from ironforge.api.parsing.cursors import Cursors
from ironforge.auth.api_keys import ApiKeys
from ironforge.auth.audit import AuditTrail
from ironforge.auth.caller import Caller
from ironforge.auth.quota import NO_QUOTA
from ironforge.auth.quota_enforcer import QuotaEnforcer
from ironforge.auth.quota_store import QuotaStore
from ironforge.auth.restricted import CallersInspector, CallersProducer
from ironforge.store.contract import Inspector, Producer

POOLED_TENANTS: Final = 64
QUOTA_SECONDS: Final = 15.0


class RequestScope(NamedTuple):
    """`keys` None: there is no authentication."""

    submit: SubmitCalls
    jobs: JobCalls
    operator: OperatorCalls
    keys: KeyCalls | None = None


class TenantServices(NamedTuple):
    """What a process holds open for one namespace."""

    producer: Producer
    inspector: Inspector
    operator: OperatorCalls
    quotas: QuotaEnforcer
    audit: AuditTrail
    on_submitted: OnSubmitted
    on_audit_failed: Callable[[], None]
    cursors: Cursors


class _Open:
    """An office, who is in it, and how to close it."""

    def __init__(self, services: TenantServices, stack: contextlib.AsyncExitStack) -> None:
        self.services = services
        self.stack = stack
        self.users = 0
        self.quota_at = -QUOTA_SECONDS


class TenantPool:
    """`open_services` opens one for a namespace. At most `most` stay open while nobody is in them."""

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
        """The namespace's office; it stays open while the block runs. Raises StoreUnavailable."""
        place = self._tenants.get(namespace)
        if place is None:
            stack = contextlib.AsyncExitStack()
            services = await stack.enter_async_context(self._open_services(namespace))
            place = self._tenants.setdefault(namespace, _Open(services, stack))
            if place.stack is not stack:
                await stack.aclose()  # somebody else opened it meanwhile
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


def scope_of(caller: Caller, services: TenantServices, api_keys: ApiKeys) -> RequestScope:
    """The desk of this caller in its namespace's office."""
    inspector: Inspector = services.inspector
    producer: Producer = services.producer
    operator = services.operator
    metered = caller.quota != NO_QUOTA or services.quotas.quota != NO_QUOTA
    if caller.queues is not None:
        inspector = CallersInspector(inspector, caller, caller.queues)
    if metered or caller.queues is not None:
        producer = CallersProducer(producer, inspector, caller, services.quotas if metered else None)
    keys = KeyCalls(api_keys, caller, services.quotas, services.audit, services.cursors)
    may_read = "jobs:read" in caller.scopes
    if caller.queues is not None or not may_read:
        operator = operator.over(inspector, caller.queues, may_read=may_read)
    jobs = JobCalls(
        producer,
        inspector,
        services.cursors,
        may_read=may_read,
        queues=None if caller.queues is None else sorted(caller.queues),
    )
    return RequestScope(SubmitCalls(producer, services.on_submitted), jobs, operator, keys)
