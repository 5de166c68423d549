"""Moments: now, as records have it, and any as text: ISO 8601 with a zone, in all that RFC 3339 allows."""

from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime, timedelta
from typing import Final

EXAMPLE: Final = "2030-01-31T12:00:00Z"
_SHOWN_CHARACTERS: Final = 60
_LEAP_SECOND: Final = re.compile(r"(.*[0-9]:[0-9]{2}:)60(?![0-9])(.*)")


def now_ms() -> int:
    """Unix time by the clock of this machine."""
    return time.time_ns() // 1_000_000


def read(text: str) -> datetime:
    """The moment, perhaps without a zone. Raises ValueError with what is wrong, and what would be right.

    A leap second is the moment after it, as on every POSIX clock; digits beyond microseconds are dropped.
    """
    try:
        return _parsed(text)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{text[:_SHOWN_CHARACTERS]!r} is not a time ({_reason(str(error))}): "
            f"expected ISO 8601 with a year of four digits and a zone, such as {EXAMPLE}"
        ) from None


def _parsed(text: str) -> datetime:
    if text.endswith("z"):
        text = f"{text[:-1]}Z"
    leap = _LEAP_SECOND.fullmatch(text)
    if leap is not None:
        return _after_leap_second(datetime.fromisoformat(f"{leap[1]}59{leap[2]}"))
    if _is_day(text):
        raise ValueError("a day without a time of day")
    return datetime.fromisoformat(text)


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _after_leap_second(before: datetime) -> datetime:
    after = before + timedelta(seconds=1)
    if after.tzinfo is not None:
        whole = after.astimezone(UTC)
        if (whole.hour, whole.minute) != (0, 0):
            raise ValueError("a second 60 is a leap second, and those are at 23:59:60 UTC")
    return after


def _reason(said: str) -> str:
    """Python's words, where they are for the author of a text."""
    if said.startswith("offset must be"):
        return "an offset is less than 24 hours"
    return "another format" if said.startswith("Invalid isoformat") else said
