"""The option `unique` as callers write it, and what it says about a job."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from ironforge.errors import InvalidJob
from ironforge.formats.duration import Duration
from ironforge.job import checks
from ironforge.job.json_values import place_in_payload, text_at
from ironforge.job.mismatch import fitted
from ironforge.job.uniqueness import MAX_WINDOW_SECONDS, Holding, OnConflict, UniqueUse

MAX_UNIQUE_KEY: Final = 255

While = Literal["queued", "unfinished"]


class Unique(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename={"while_": "while"}):
    """No second job of the kind with this key. Of a kind, `key` is a path into the payload, such as `customer.id`.

    `while_`: until the job starts (`queued`) or ends (`unfinished`); default: `unfinished`, or none with `for_seconds`,
    and `queued` for `debounce`. `for_seconds`: for so long; of both the earlier end counts. `max_wait_seconds`: how
    long a debounced job can be put off in all.
    """

    key: str
    while_: While | None = None
    for_seconds: Duration | None = None
    on_conflict: OnConflict = "return"
    max_wait_seconds: Duration | None = None


def check_unique(field: str, given: object) -> UniqueUse:
    """Raises InvalidJob with `code`, `field` and `hint`."""
    unique = fitted(field, given, Unique)
    _check_key(f"{field}.key", unique.key)
    debounces = unique.on_conflict == "debounce"
    if debounces and unique.while_ == "unfinished":
        raise _wrong(f"{field}.while", "debounce ends when the job starts", "leave `while` out, or say queued")
    if debounces and unique.for_seconds is not None:
        hint = "give max_wait_seconds to bound how long it is put off"
        raise _wrong(f"{field}.for_seconds", "a debounced job holds its key until it starts", hint)
    if unique.max_wait_seconds is not None and not debounces:
        raise _wrong(f"{field}.max_wait_seconds", "only a debounced job is put off", "give on_conflict debounce")
    by_default: Holding = "queued" if debounces else "unfinished" if unique.for_seconds is None else ""
    if unique.on_conflict == "replace" and not (unique.while_ or by_default):
        hint = "say `while` queued or unfinished, or leave for_seconds out"
        raise _wrong(f"{field}.on_conflict", "for_seconds alone holds the key of a job that has run as well", hint)
    return UniqueUse(
        unique.key,
        unique.while_ or by_default,
        _window(f"{field}.for_seconds", unique.for_seconds),
        unique.on_conflict,
        _window(f"{field}.max_wait_seconds", unique.max_wait_seconds),
    )


def shown_unique(use: UniqueUse | None) -> Unique | None:
    """As it was asked for, with what holds by default."""
    if use is None:
        return None
    return Unique(use.key, use.holding or None, _seconds(use.for_ms), use.on_conflict, _seconds(use.max_wait_ms))


def key_in(payload: Any, path: str) -> str:
    """What stands at a kind's path in a decoded payload. Raises InvalidJob as `text_at` does."""
    return _check_key(place_in_payload(path), text_at(payload, path, "unique key", "invalid_unique"))


def check_wait(unique: UniqueUse, delay_ms: int | None) -> None:
    """Whether a debounced job has a delay that can be started again. Raises InvalidJob."""
    if unique.on_conflict != "debounce":
        return
    if not delay_ms:
        raise _wrong("delay_seconds", "debounce starts the delay of a job again", "give delay_seconds, and no run_at")
    if 0 < unique.max_wait_ms < delay_ms:
        message = f"{unique.max_wait_ms / 1000:g} is less than the delay of {delay_ms / 1000:g} s"
        raise _wrong("unique.max_wait_seconds", message, "give at least the delay")


def _check_key(field: str, key: str) -> str:
    if not 1 <= len(key) <= MAX_UNIQUE_KEY or not key.isprintable():
        raise _wrong(field, f"{key!r:.60} is no unique key", f"give 1 to {MAX_UNIQUE_KEY} printable characters")
    return key


def _window(field: str, given: Any) -> int:
    return 0 if given is None else checks.check_duration(field, given, 0.001, MAX_WINDOW_SECONDS)


def _seconds(ms: int) -> float | None:
    return ms / 1000 if ms else None


def _wrong(field: str, why: str, hint: str) -> InvalidJob:
    return InvalidJob(f"{field}: {why}: {hint}", code="invalid_unique", field=field, hint=hint)
