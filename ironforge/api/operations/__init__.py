"""The operations of the HTTP API, as plain functions of a request and its scope. A module that is imported here
registers its own."""

from __future__ import annotations

from ironforge.api.operations import (
    events,
    jobs,
    keys,
    kinds,
    limits,
    queues,
    schedules,
    service,
    submission,
    ticks,
    workflows,
)

__all__ = [
    "events",
    "jobs",
    "keys",
    "kinds",
    "limits",
    "queues",
    "schedules",
    "service",
    "submission",
    "ticks",
    "workflows",
]
