"""What a script says instead of storing jobs, as the error that it means."""

from __future__ import annotations

from typing import Any, Final

from ironforge.errors import IdempotencyConflict, InvalidJob, QueueFull
from ironforge.job.record import format_id
from ironforge.settings import environment_name
from ironforge.store.queue_names import too_many_queues

# Of several batches in one call one is refused: each of the others may be taken.
REFUSALS: Final = (b"full", b"queues", b"limit")


def verdict(reply: Any) -> Any:
    """The word that a refusal begins with; anything else of other replies."""
    return reply[0] if isinstance(reply, list) and reply else None


def refusal(reply: Any) -> Exception | None:
    """None for a reply that refuses nothing."""
    if isinstance(reply, Exception):
        return reply
    match verdict(reply):
        case b"conflict":
            first = format_id(reply[1])
            message = f"this idempotency key was used for a different submission; its job is {first}"
            return IdempotencyConflict(message, job_id=first)
        case b"full":
            return _queue_full(reply)
        case b"queues":
            return too_many_queues(reply)
        case b"limit":
            return _limit_refused(reply)
    return None


def _queue_full(reply: list[Any]) -> QueueFull:
    queue = reply[1].decode()
    length, wanted, limit = reply[2:]
    message = (
        f"queue {queue} has {length} jobs of at most {limit}, so {wanted} more do not fit: try again when nodes "
        f"have worked some off, add nodes, or raise {environment_name('max_queue_length')}"
    )
    return QueueFull(message, queue=queue, length=length, limit=limit)


def _limit_refused(reply: list[Any]) -> InvalidJob:
    name, units, burst = reply[1].decode(), *reply[2:]
    if burst < 0:
        message = f"there is no limit {name}: define it first, then submit jobs that use it"
        return InvalidJob(message, code="unknown_limit", field="limits")
    message = f"{units} units of limit {name} can never be had: it lets at most {burst} through at once"
    return InvalidJob(f"{message}; ask for fewer, or raise its burst", code="units_over_burst", field="limits")
