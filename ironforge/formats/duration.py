"""Durations as users write them: a number of seconds or a timedelta, wherever seconds are asked for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeGuard

Duration = float | timedelta


def seconds_of(given: Any) -> Any:
    """A timedelta in seconds; anything else as it is, for the check that follows."""
    return timedelta.total_seconds(given) if isinstance(given, timedelta) else given


def is_number(given: object) -> TypeGuard[float]:
    """True is no duration, though Python counts it as 1."""
    return isinstance(given, int | float) and not isinstance(given, bool)
