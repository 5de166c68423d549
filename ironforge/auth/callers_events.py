"""What an event is to a caller that is limited to some queues: jobs of any queue may wait for it, so nothing."""

from __future__ import annotations

from ironforge.auth.caller import Caller
from ironforge.errors import Forbidden
from ironforge.store.steps.contract import Events


def events_for(caller: Caller, events: Events) -> Events:
    """Raises Forbidden where the caller is limited to some queues."""
    if caller.queues is not None:
        raise Forbidden(
            "jobs of any queue may wait for an event, and this credential may use some alone: use one that may use all",
            code="queue_not_allowed",
        )
    return events
