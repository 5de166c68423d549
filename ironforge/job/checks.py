"""The limits of what is submitted, and how a value is checked against them, whatever door it comes by.

Out-of-range values are refused, never clamped: a job that silently runs with other options than asked for is
found weeks later, a refused submission at once.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

from ironforge.codes import Code
from ironforge.errors import InvalidJob
from ironforge.formats import numbers, timestamps
from ironforge.formats.duration import is_number, seconds_of
from ironforge.job.record import LABELS, Priority
from ironforge.settings import NAME, NAME_RULE
from ironforge.steps import journal
from ironforge.steps.names import event_name_problem

YEAR_SECONDS: Final = 365 * 86_400.0
MAX_DELAY_SECONDS: Final = YEAR_SECONDS
# The server's scripts write larger numbers of milliseconds in a way that is no whole number any more.
MAX_UNTIL_SECONDS: Final = 100 * YEAR_SECONDS
MAX_PAYLOAD_BYTES: Final = 1_048_576
# JSON values of one job, and of one batch: what can be built, compared and dropped again before other callers notice.
MAX_VALUES: Final = 200_000
MAX_BATCH_VALUES: Final = 1_000_000
MAX_RESULT_BYTES: Final = 1_048_576
MAX_KEY_CHARACTERS: Final = 255
MAX_NOTE_CHARACTERS: Final = 500
# As much as a job may record of one step.
MAX_EVENT_BYTES: Final = journal.MAX_RESULT_BYTES
# How long an event stays for those who come later, where nothing is said.
KEEP_SECONDS: Final = 86_400.0
MIN_KEEP_SECONDS: Final = 1.0
MAX_KEEP_SECONDS: Final = YEAR_SECONDS

NAME_PATTERN: Final = "^" + NAME.pattern.replace(r"\Z", "$")


def check_kind(kind: object) -> str:
    return check_name("kind", kind, "invalid_kind")


def check_queue(queue: object) -> str:
    return check_name("queue", queue, "invalid_queue_name")


def check_name(field: str, value: object, code: Code) -> str:
    if not isinstance(value, str):
        raise _wrong_type(field, value, "text")
    if not NAME.match(value):
        raise InvalidJob(f"{field} {value[:150]!r} is not a name: {NAME_RULE}", code=code, field=field, hint=NAME_RULE)
    return value


def check_priority(field: str, label: object) -> int:
    if not isinstance(label, str):
        raise _wrong_type(field, label, f"one of {', '.join(LABELS)}")
    try:
        return Priority.parse(label).value
    except ValueError as error:
        hint = f"one of {', '.join(LABELS)}"
        raise InvalidJob(str(error), code="invalid_priority", field=field, hint=hint) from None


def check_whole(field: str, value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type(field, value, "a whole number")
    if not low <= value <= high:
        raise _out_of_range(field, value, low, high, "out_of_range")
    return value


def check_duration(field: str, given: object, low: float, high: float, code: Code = "out_of_range") -> int:
    """In milliseconds."""
    seconds = seconds_of(given)
    if not is_number(seconds):
        raise _wrong_type(field, seconds, "a number of seconds")
    if not low <= seconds <= high:  # also refuses NaN
        raise _out_of_range(field, seconds, low, high, code)
    return round(float(seconds) * 1000)


def check_pause(what: str, given: object) -> int:
    """In milliseconds."""
    return check_duration(what, given, 0, MAX_DELAY_SECONDS)


def check_throttle(what: str, given: object) -> int:
    """In milliseconds, for how long a target wants to be left alone."""
    return check_duration(what, given, 0.001, MAX_DELAY_SECONDS)


def check_run_at(field: str, text: object) -> int:
    """Unix milliseconds. A time in the past is fine: the job is due at once."""
    moment = check_moment(field, text)
    latest = time.time() + MAX_DELAY_SECONDS
    if moment.timestamp() > latest:
        bound = datetime.fromtimestamp(latest, UTC).isoformat(timespec="seconds")
        hint = f"at most {MAX_DELAY_SECONDS / 86_400:g} days ahead, now {bound}"
        message = f"{field} {moment.isoformat()} is out of range: {hint}"
        raise InvalidJob(message, code="invalid_delay", field=field, hint=hint)
    return max(0, round(moment.timestamp() * 1000))


def check_note(note: str) -> str:
    """Why an operator changes something. Raises InvalidJob."""
    if len(note) > MAX_NOTE_CHARACTERS:
        hint = f"give at most {MAX_NOTE_CHARACTERS}"
        raise InvalidJob(f"note has {len(note)} characters: {hint}", code="out_of_range", field="note", hint=hint)
    return note


def check_until(field: str, text: object) -> int:
    """Unix milliseconds of a time to come."""
    moment = check_moment(field, text)
    ahead = moment.timestamp() - time.time()
    if not 0 < ahead <= MAX_UNTIL_SECONDS:
        where, hint = "in the past", "give a time to come"
        if ahead > 0:
            where, hint = "too far ahead", f"give one within {MAX_UNTIL_SECONDS / YEAR_SECONDS:g} years, or none"
        message = f"{field} {moment.isoformat()} is {where}: {hint}"
        raise InvalidJob(message, code="out_of_range", field=field, hint=hint)
    return round(moment.timestamp() * 1000)


def check_moment(field: str, text: object) -> datetime:
    """One with a zone, as text. Raises InvalidJob."""
    if not isinstance(text, str):
        raise _wrong_type(field, text, f"a time with a zone such as {timestamps.EXAMPLE}")
    try:
        moment = timestamps.read(text)
    except ValueError as error:
        hint = f"give a time with a zone such as {timestamps.EXAMPLE}"
        raise InvalidJob(f"{field} {error}", code="invalid_type", field=field, hint=hint) from None
    if moment.utcoffset() is None:
        hint = "append Z for UTC, or an offset such as +02:00"
        message = f"{field} {moment.isoformat()} has no time zone: {hint}"
        raise InvalidJob(message, code="timezone_required", field=field, hint=hint)
    return moment


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


def check_event_name(name: object) -> str:
    """Raises InvalidJob."""
    if problem := event_name_problem(name):
        raise InvalidJob(problem, code="invalid_event", field="name", hint=problem.rpartition(": ")[2])
    return str(name)


def check_event_payload(payload: bytes) -> bytes:
    if len(payload) > MAX_EVENT_BYTES:
        hint = "store large data elsewhere and send a reference to it"
        message = f"the payload of an event has {len(payload)} bytes, at most {MAX_EVENT_BYTES} are allowed: {hint}"
        raise InvalidJob(message, code="payload_too_large", field="payload", hint=hint)
    return payload


def check_keep(seconds: object) -> int:
    """In milliseconds."""
    return check_duration("keep_seconds", seconds, MIN_KEEP_SECONDS, MAX_KEEP_SECONDS)


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


def _wrong_type(field: str, value: object, expected: str) -> InvalidJob:
    message = f"{field} must be {expected}, not {_shown(value)}"
    return InvalidJob(message, code="invalid_type", field=field, hint=f"give {expected}")


def _shown(value: object) -> str:
    return f"{value[:60]!r}" if isinstance(value, str) else f"{type(value).__name__}"


def _out_of_range(field: str, value: float, low: float, high: float, code: Code) -> InvalidJob:
    allowed = f"{numbers.shown(low)} to {numbers.shown(high)}"
    message = f"{field} {numbers.shown(value)} is out of range: {allowed}"
    return InvalidJob(message, code=code, field=field, hint=f"give {allowed}")
