"""What a script says instead of storing jobs, as the error that it means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ironforge.codes import Code
from ironforge.errors import Duplicate, IdempotencyConflict, InvalidJob, QueueFull, QuotaExceeded
from ironforge.job.record import format_id
from ironforge.settings import environment_name
from ironforge.store.producer.routes import Moved
from ironforge.store.queue_names import RETRY_SECONDS, too_many_queues
from ironforge.store.retention import state_at

# Of several batches in one call one is refused: each of the others may be taken.
REFUSALS: Final = (b"full", b"queues", b"keys", b"limit", b"duplicate")


def verdict(reply: Any) -> Any:
    """The word that a refusal begins with; anything else of other replies."""
    return reply[0] if isinstance(reply, list) and reply else None


def refusal(reply: Any) -> Exception | None:
    """None for a reply that refuses nothing."""
    if isinstance(reply, Exception):
        return reply
    word = verdict(reply)
    meaning = _MEANINGS.get(word) if isinstance(word, bytes) else None
    return meaning(reply) if meaning else None


def _conflict(reply: list[Any]) -> IdempotencyConflict:
    _, other, *letter = reply
    message, first = "this idempotency key was used for a different submission", format_id(other) if other else ""
    if letter == [b"w"]:
        conflict = IdempotencyConflict(f"{message}; its workflow is {first}")
        conflict.workflow_id = first
        return conflict
    return IdempotencyConflict(f"{message}; its job is {first}" if first else message, job_id=first)


def _duplicate(reply: list[Any]) -> Duplicate:
    _, owner, letter, *number = reply  # a job that is revived has none
    first = format_id(owner)
    error = Duplicate(f"job {first}, which is {state_at(letter).value}, holds this unique key", job_id=first)
    error.index = number[0] if number else None
    return error


def _queue_full(reply: list[Any]) -> QueueFull:
    queue = reply[1].decode()
    length, wanted, limit = reply[2:]
    message = (
        f"queue {queue} has {length} jobs of at most {limit}, so {wanted} more do not fit: try again when nodes "
        f"have worked some off, add nodes, or raise {environment_name('max_queue_length')}"
    )
    return QueueFull(message, queue=queue, length=length, limit=limit)


def _too_many_keys(reply: list[Any]) -> QuotaExceeded:
    used, more, limit = reply[1:]
    hint = "take keys that many jobs share, such as customers, wait until jobs have ended, or have the quota raised"
    return QuotaExceeded(
        f"the namespace may have {limit} keys of limits in use, it has {used}, and {more} more do not fit: {hint}",
        quota="namespace.limit_keys",
        current=used,
        limit=limit,
        retry_seconds=RETRY_SECONDS,
        field="limits",
        hint=hint,
    )


def _limit_refused(reply: list[Any]) -> InvalidJob:
    why, name = reply[1].decode(), reply[4].decode()
    job, place, units, burst = *reply[2:4], *reply[5:]
    code: Code = "invalid_limit"
    if why == "unknown":
        code, message, hint = "unknown_limit", f"there is no limit {name}", "define it first, then submit jobs"
    elif why == "units":
        code, hint = "units_over_burst", "ask for fewer, or raise its burst"
        message = f"{units} units of limit {name} can never be had, it lets at most {burst} through at once"
    else:
        message, hint = f"limit {name} is fifo, and so the only concurrency a job can wait for", "use one of them alone"
    part = "units" if why == "units" else "name"
    error = InvalidJob(f"{message}: {hint}", code=code, field=f"limits[{place}].{part}", hint=hint)
    error.index = job
    return error


_MEANINGS: Final[dict[bytes, Callable[[list[Any]], Exception]]] = {
    b"conflict": _conflict,
    b"duplicate": _duplicate,
    b"full": _queue_full,
    b"queues": too_many_queues,
    b"keys": _too_many_keys,
    b"limit": _limit_refused,
    b"moved": lambda reply: Moved(*reply[1:]),
}
