"""The option `unique` as callers write it, and what it says about a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

import msgspec

from ironforge.errors import InvalidJob
from ironforge.formats.duration import Duration
from ironforge.job import checks
from ironforge.job.payload_path import text_at
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
    """Raises InvalidJob with `code` and `field`."""
    unique = given if isinstance(given, Unique) else _converted(field, given)
    if not isinstance(unique.key, str) or not 1 <= len(unique.key) <= MAX_UNIQUE_KEY or not unique.key.isprintable():
        raise _wrong(f"{field}.key", f"{unique.key!r:.60} is not 1 to {MAX_UNIQUE_KEY} printable characters")
    for name, allowed in (("while", (None, *get_args(While))), ("on_conflict", get_args(OnConflict))):
        value = unique.while_ if name == "while" else unique.on_conflict
        if value not in allowed:
            raise _wrong(f"{field}.{name}", f"{value!r:.60} is not one of {', '.join(filter(None, allowed))}")
    debounces = unique.on_conflict == "debounce"
    if debounces and unique.while_ == "unfinished":
        raise _wrong(f"{field}.while", "debounce ends when the job starts: leave `while` out, or say queued")
    if unique.max_wait_seconds is not None and not debounces:
        raise _wrong(f"{field}.max_wait_seconds", "only a debounced job is put off: it needs on_conflict debounce")
    by_default: Holding = "queued" if debounces else "unfinished" if unique.for_seconds is None else ""
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
    text = text_at(payload, path, "unique key", "invalid_unique")
    return check_unique("unique", Unique(text)).key


def _converted(field: str, given: object) -> Unique:
    try:
        return msgspec.convert(dict(given) if isinstance(given, Mapping) else given, Unique)
    except msgspec.ValidationError as error:
        raise _wrong(field, f"{error}") from None


def _window(field: str, given: Any) -> int:
    return 0 if given is None else checks.check_duration(field, given, 0.001, MAX_WINDOW_SECONDS)


def _seconds(ms: int) -> float | None:
    return ms / 1000 if ms else None


def _wrong(field: str, why: str) -> InvalidJob:
    return InvalidJob(f"{field}: {why}", code="invalid_unique", field=field)
