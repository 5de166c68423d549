"""The events that hooks get, for applications to import."""

from ironforge.handlers.events import (
    EVENTS,
    AttemptEnded,
    AttemptEvent,
    AttemptFailed,
    AttemptSnoozed,
    AttemptWaiting,
    EventName,
    JobDead,
    NodeEvent,
)

__all__ = [
    "EVENTS",
    "AttemptEnded",
    "AttemptEvent",
    "AttemptFailed",
    "AttemptSnoozed",
    "AttemptWaiting",
    "EventName",
    "JobDead",
    "NodeEvent",
]
