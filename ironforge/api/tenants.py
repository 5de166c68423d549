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
from ironforge.auth.api_keys import Keyring
from ironforge.auth.audit import AuditTrail
from ironforge.auth.caller import Caller
from ironforge.auth.quota import NO_QUOTA
from ironforge.auth.quota_enforcer import Meter
from ironforge.auth.quota_store import QuotaBook
from ironforge.auth.restricted import CallersInspection, CallersSubmissions
from ironforge.store.contract import Inspection, Submissions

OFFICES: Final = 64
QUOTA_SECONDS: Final = 15.0


class Desk(NamedTuple):
    """`keys` None: there is no authentication."""

    submit: SubmitCalls
    jobs: JobCalls
    operator: OperatorCalls
    keys: KeyCalls | None = None


class Office(NamedTuple):
    """What a process holds open for one namespace."""

    submissions: Submissions
    inspection: Inspection
    operator: OperatorCalls
    meter: Meter
    audit: AuditTrail
    on_submitted: OnSubmitted
    on_audit_failed: Callable[[], None]
    cursors: Cursors


class _Open:
    """An office, who is in it, and how to close it."""

    def __init__(self, office: Office, stack: contextlib.AsyncExitStack) -> None:
        self.office = office
        self.stack = stack
        self.visitors = 0
        self.quota_at = -QUOTA_SECONDS


class Offices:
    """`open_office` opens one for a namespace. At most `most` stay open while nobody is in them."""

    def __init__(
        self,
        open_office: Callable[[str], AbstractAsyncContextManager[Office]],
        quotas: QuotaBook,
        *,
        most: int = OFFICES,
    ) -> None:
        self._open_office = open_office
        self._quotas = quotas
        self._most = most
        self._offices: OrderedDict[str, _Open] = OrderedDict()

    @contextlib.asynccontextmanager
    async def visit(self, namespace: str) -> AsyncIterator[Office]:
        """The namespace's office; it stays open while the block runs. Raises StoreUnavailable."""
        place = self._offices.get(namespace)
        if place is None:
            stack = contextlib.AsyncExitStack()
            office = await stack.enter_async_context(self._open_office(namespace))
            place = self._offices.setdefault(namespace, _Open(office, stack))
            if place.stack is not stack:
                await stack.aclose()  # somebody else opened it meanwhile
        self._offices.move_to_end(namespace)
        place.visitors += 1
        try:
            await self._look_up_quota(namespace, place)
            await self._make_room()
            yield place.office
        finally:
            place.visitors -= 1

    async def close(self) -> None:
        while self._offices:
            _, place = self._offices.popitem()
            await place.stack.aclose()

    async def _look_up_quota(self, namespace: str, place: _Open) -> None:
        now = time.monotonic()
        if now - place.quota_at >= QUOTA_SECONDS:
            place.office.meter.quota = await self._quotas.get(namespace)
            place.quota_at = now

    async def _make_room(self) -> None:
        while len(self._offices) > self._most:
            idle = next((name for name, place in self._offices.items() if not place.visitors), None)
            if idle is None:
                return
            await self._offices.pop(idle).stack.aclose()


def desk_of(caller: Caller, office: Office, keyring: Keyring) -> Desk:
    """The desk of this caller in its namespace's office."""
    inspection: Inspection = office.inspection
    submissions: Submissions = office.submissions
    operator = office.operator
    metered = caller.quota != NO_QUOTA or office.meter.quota != NO_QUOTA
    if caller.queues is not None:
        inspection = CallersInspection(inspection, caller, caller.queues)
    if metered or caller.queues is not None:
        submissions = CallersSubmissions(submissions, inspection, caller, office.meter if metered else None)
    keys = KeyCalls(keyring, caller, office.meter, office.audit, office.cursors)
    may_read = "jobs:read" in caller.scopes
    if caller.queues is not None or not may_read:
        operator = operator.over(inspection, caller.queues, may_read=may_read)
    jobs = JobCalls(
        submissions,
        inspection,
        office.cursors,
        may_read=may_read,
        queues=None if caller.queues is None else sorted(caller.queues),
    )
    return Desk(SubmitCalls(submissions, office.on_submitted), jobs, operator, keys)
