"""What an operation works with: the services of one namespace, and who calls.

Without authentication there is one scope for all requests, of a caller that may do everything. With it each request
has its own, which shows the caller's queues only and charges the caller's quotas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from ironforge.api.parsing.cursors import Cursors
from ironforge.api.rates import Rates
from ironforge.auth.api_keys import ApiKeys
from ironforge.auth.audit import AuditTrail
from ironforge.auth.caller import SCOPES, Caller
from ironforge.auth.callers_events import events_for
from ironforge.auth.callers_schedules import CallersSchedules
from ironforge.auth.callers_workflows import CallersWorkflows
from ironforge.auth.quota import NO_QUOTA
from ironforge.auth.quota_enforcer import QuotaEnforcer
from ironforge.auth.restricted import CallersInspector, CallersProducer
from ironforge.metrics.queue_depths import Reading
from ironforge.store.contract import Inspector, Limits, Producer
from ironforge.store.kind_catalog import KindCatalog, LookUp
from ironforge.store.schedules.contract import Schedules
from ironforge.store.steps.contract import Events
from ironforge.store.workflows.contract import Workflows

# What keeps this process from taking requests; empty: nothing.
Readiness = Callable[[], list[str]]
# The body and the Content-Type of /metrics, of what the store says and what the process counts.
Exposition = Callable[[Reading | None], tuple[bytes, str]]
# Hears kind, priority and number of newly accepted jobs.
OnSubmitted = Callable[[str, int, int], None]


class Doors(Protocol):
    """The doors of a namespace, to its store."""

    producer: Producer
    inspector: Inspector
    limits: Limits
    schedules: Schedules
    events: Events
    workflows: Workflows


@dataclass(slots=True)
class Services:
    """What a process holds open for one namespace. `asks_callers`: there is authentication."""

    doors: Doors
    kinds: KindCatalog
    cursors: Cursors
    durability: str
    retention_seconds: float
    exposition: Exposition | None = None
    readiness: Readiness | None = None
    on_submitted: OnSubmitted | None = None
    asks_callers: bool = False
    rates: Rates = field(default_factory=Rates)


@dataclass(slots=True, kw_only=True)
class TenantServices(Services):
    """And with authentication."""

    api_keys: ApiKeys
    quotas: QuotaEnforcer
    audit: AuditTrail
    on_audit_failed: Callable[[], None]


@dataclass(slots=True)
class RequestScope:
    """`producer`, `inspector`, `schedules` and `workflows`: as this caller may use them."""

    services: Services
    caller: Caller
    producer: Producer
    inspector: Inspector
    schedules: Schedules
    workflows: Workflows

    @property
    def events(self) -> Events:
        """Raises Forbidden for a caller that is limited to some queues."""
        return events_for(self.caller, self.services.doors.events)

    @property
    def look_up(self) -> LookUp:
        """No name of a kind is told to a caller that may not see all of them."""
        look_up = self.services.kinds.look_up
        return look_up if self.caller.queues is None else partial(look_up, hints=False)

    @property
    def may_read(self) -> bool:
        """Whether the caller may be shown what jobs carry, and which of them run."""
        return "jobs:read" in self.caller.scopes


@dataclass(slots=True)
class CallerScope(RequestScope):
    """Of an operation that exists only with authentication."""

    services: TenantServices


ANYONE: Final = Caller("", frozenset(SCOPES), "")


def open_scope(services: Services) -> RequestScope:
    """Of every request without authentication, and of those that need none."""
    doors = services.doors
    return RequestScope(services, ANYONE, doors.producer, doors.inspector, doors.schedules, doors.workflows)


def scope_of(caller: Caller, services: TenantServices) -> CallerScope:
    """Of a request of this caller."""
    inspector, producer = services.doors.inspector, services.doors.producer
    metered = caller.quota != NO_QUOTA or services.quotas.quota != NO_QUOTA
    if caller.queues is not None:
        inspector = CallersInspector(inspector, caller, caller.queues)
    if metered or caller.queues is not None:
        producer = CallersProducer(producer, inspector, caller, services.quotas if metered else None)
    schedules = CallersSchedules(services.doors.schedules, caller, services.kinds, services.quotas)
    workflows = CallersWorkflows(services.doors.workflows, caller, services.quotas)
    return CallerScope(services, caller, producer, inspector, schedules, workflows)
