"""The limits of a submission and the one check of them, shared by the Python door and the HTTP door.

Out-of-range values are refused, never clamped: a job that silently runs with other options than asked for is
found weeks later, a refused submission at once.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final, NamedTuple

from ironforge.codes import Code
from ironforge.errors import InvalidJob
from ironforge.formats import numbers, timestamps
from ironforge.formats.duration import is_number, seconds_of
from ironforge.job.record import MAX_WEIGHT, RECORD_VERSION, Job, Priority, created_ms_of, new_id
from ironforge.settings import NAME

MAX_RETRIES: Final = 1_000
MIN_TIMEOUT_SECONDS: Final = 0.001
MAX_TIMEOUT_SECONDS: Final = 604_800.0
MAX_DELAY_SECONDS: Final = 365 * 86_400.0
MAX_RETAIN_SECONDS: Final = 604_800.0
MAX_PAYLOAD_BYTES: Final = 1_048_576
# JSON values of one job, and of one batch: what can be built, compared and dropped again before anybody else notices.
MAX_VALUES: Final = 200_000
MAX_BATCH_VALUES: Final = 1_000_000
MAX_RESULT_BYTES: Final = 1_048_576
MAX_KEY_CHARACTERS: Final = 255

DEFAULT_QUEUE: Final = "default"
DEFAULT_PRIORITY: Final = Priority.MEDIUM

_NAME_RULE: Final = "1 to 128 letters, digits, '.', '_' or '-', starting with a letter or a digit"


class Options(NamedTuple):
    """Checked options of one submission, in record units. None: as the kind says, or not given."""

    priority: Priority = DEFAULT_PRIORITY
    queue: str = DEFAULT_QUEUE
    max_retries: int | None = None
    timeout_ms: int | None = None
    retain_ms: int | None = None
    delay_ms: int | None = None
    run_at_ms: int | None = None
    fairness_key: str = ""
    fairness_weight: int = 1

    def job(self, kind: str, payload: bytes, job_id: bytes | None = None) -> Job:
        """The record of a new job of a checked kind and payload; `job_id` is made when not given."""
        job_id = new_id() if job_id is None else job_id
        created_ms = created_ms_of(job_id)
        ready_ms = created_ms + self.delay_ms if self.delay_ms else self.run_at_ms or 0
        return Job(
            RECORD_VERSION,
            job_id,
            kind,
            self.queue,
            int(self.priority),
            payload,
            created_ms,
            self.max_retries,
            self.timeout_ms,
            self.retain_ms,
            ready_ms=ready_ms,
            fairness_key=self.fairness_key,
            fairness_weight=self.fairness_weight,
        )


def validate_options(
    *,
    priority: object = None,
    queue: object = None,
    max_retries: object = None,
    timeout_seconds: object = None,
    retain_seconds: object = None,
    delay_seconds: object = None,
    run_at: object = None,
    fairness_key: object = None,
    fairness_weight: object = None,
) -> Options:
    """The options in record units; None means not given. Raises InvalidJob with `code` and `field`.

    `priority` is a label or a Priority; `run_at` a datetime with a zone, or ISO 8601 text with one.
    """
    if delay_seconds is not None and run_at is not None:
        raise InvalidJob("delay_seconds and run_at exclude each other: give one", code="invalid_delay", field="run_at")
    return Options(
        DEFAULT_PRIORITY if priority is None else check_priority(priority),
        DEFAULT_QUEUE if queue is None else check_queue(queue),
        check_max_retries(max_retries),
        check_timeout(timeout_seconds),
        check_retain(retain_seconds),
        _milliseconds("delay_seconds", delay_seconds, 0, MAX_DELAY_SECONDS, code="invalid_delay"),
        None if run_at is None else check_run_at(run_at),
        "" if fairness_key is None else _name("fairness_key", fairness_key, "invalid_fairness_key"),
        check_weight(fairness_weight, fairness_key),
    )


def check_kind(kind: object) -> str:
    return _name("kind", kind, "invalid_kind")


def check_queue(queue: object) -> str:
    return _name("queue", queue, "invalid_queue_name")


def check_priority(priority: object) -> Priority:
    if isinstance(priority, Priority):
        return priority
    if not isinstance(priority, str):
        raise _wrong_type("priority", priority, "one of critical, high, medium, low")
    try:
        return Priority.parse(priority)
    except ValueError as error:
        raise InvalidJob(str(error), code="invalid_priority", field="priority") from None


def check_max_retries(retries: object) -> int | None:
    return None if retries is None else _whole("max_retries", retries, 0, MAX_RETRIES)


def check_weight(weight: object, fairness_key: object) -> int:
    """1 when not given."""
    if weight is None:
        return 1
    if fairness_key is None:
        raise InvalidJob("fairness_weight needs a fairness_key", code="missing_field", field="fairness_key")
    return _whole("fairness_weight", weight, 1, MAX_WEIGHT)


def check_timeout(seconds: object) -> int | None:
    """In milliseconds."""
    return _milliseconds("timeout_seconds", seconds, MIN_TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS)


def check_retain(seconds: object) -> int | None:
    """In milliseconds."""
    return _milliseconds("retain_seconds", seconds, 0, MAX_RETAIN_SECONDS)


def check_pause(what: str, seconds: object) -> int:
    """In milliseconds."""
    return _duration_ms(what, seconds, 0, MAX_DELAY_SECONDS)


def check_run_at(moment: object) -> int:
    """Unix milliseconds. A time in the past is fine: the job is due at once."""
    if isinstance(moment, str):
        try:
            moment = timestamps.read(moment)
        except ValueError as error:
            raise InvalidJob(f"run_at {error}", code="invalid_type", field="run_at") from None
    if not isinstance(moment, datetime):
        raise _wrong_type("run_at", moment, f"a time with a zone such as {timestamps.EXAMPLE}")
    if moment.utcoffset() is None:
        raise InvalidJob(
            f"run_at {moment.isoformat()} has no time zone: append Z for UTC, or an offset such as +02:00",
            code="timezone_required",
            field="run_at",
        )
    latest = time.time() + MAX_DELAY_SECONDS
    if moment.timestamp() > latest:
        bound = datetime.fromtimestamp(latest, UTC).isoformat(timespec="seconds")
        raise InvalidJob(
            f"run_at {moment.isoformat()} is out of range: at most {MAX_DELAY_SECONDS / 86_400:g} days ahead, "
            f"now {bound}",
            code="invalid_delay",
            field="run_at",
        )
    return max(0, round(moment.timestamp() * 1000))


def most_values(text: bytes) -> int:
    """The most JSON values that `text` can hold: there are fewer where its strings have commas and brackets."""
    return text.count(b"[") + text.count(b"{") + text.count(b",") + 1


def check_payload_size(payload: bytes) -> bytes:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise InvalidJob(
            f"the payload has {len(payload)} bytes, at most {MAX_PAYLOAD_BYTES} are allowed: "
            "store large data elsewhere and submit a reference to it",
            code="payload_too_large",
            field="payload",
        )
    return payload


def check_idempotency_key(key: object) -> str | None:
    if key is None:
        return None
    if not isinstance(key, str):
        raise _wrong_type("idempotency_key", key, "text")
    if not 1 <= len(key) <= MAX_KEY_CHARACTERS or not key.isprintable():
        raise InvalidJob(
            f"idempotency_key {key[:60]!r} is not 1 to {MAX_KEY_CHARACTERS} printable characters",
            code="invalid_idempotency_key",
            field="idempotency_key",
        )
    return key


def _name(field: str, value: object, code: Code) -> str:
    if not isinstance(value, str):
        raise _wrong_type(field, value, "text")
    if not NAME.match(value):
        raise InvalidJob(f"{field} {value[:150]!r} is not a name: {_NAME_RULE}", code=code, field=field)
    return value


def _whole(field: str, value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type(field, value, "a whole number")
    if not low <= value <= high:
        raise _out_of_range(field, value, low, high)
    return value


def _milliseconds(field: str, seconds: object, low: float, high: float, code: Code = "out_of_range") -> int | None:
    return None if seconds is None else _duration_ms(field, seconds, low, high, code)


def _duration_ms(field: str, given: object, low: float, high: float, code: Code = "out_of_range") -> int:
    seconds = seconds_of(given)
    if not is_number(seconds):
        raise _wrong_type(field, seconds, "a number of seconds")
    if not low <= seconds <= high:  # also refuses NaN
        raise _out_of_range(field, seconds, low, high, code)
    return round(float(seconds) * 1000)


def _wrong_type(field: str, value: object, expected: str) -> InvalidJob:
    return InvalidJob(f"{field} must be {expected}, not {_shown(value)}", code="invalid_type", field=field)


def _shown(value: object) -> str:
    return f"{value[:60]!r}" if isinstance(value, str) else f"{type(value).__name__}"


def _out_of_range(field: str, value: float, low: float, high: float, code: Code = "out_of_range") -> InvalidJob:
    message = f"{field} {numbers.shown(value)} is out of range: {numbers.shown(low)} to {numbers.shown(high)}"
    return InvalidJob(message, code=code, field=field)
