"""Times at which a schedule does not fire: dates, and what cron lines name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final

from cronsim import CronSim

from ironforge.schedules.cron import ANY_TIME, check_line
from ironforge.schedules.errors import wrong

_ALL_SECONDS: Final = 60
_ALL_MINUTES: Final = 60
_ALL_HOURS: Final = 24
_MONTHS: Final = range(1, 13)
# How far is looked for a time that is not left out. In a row: of days, hours, minutes, or single times.
_MOST_IN_A_ROW: Final = 5_000
_MOST_YEARS: Final = 50


def check_excluded(place: str, text: str) -> None:
    """Raises InvalidJob for one that is neither a date nor a line."""
    if _is_line(text):
        check_line(place, text)
        return
    try:
        date.fromisoformat(text)
    except ValueError:
        why = f"{text[:60]!r} is neither a date nor a cron line"
        raise wrong(place, why, "give a date such as 2026-12-25, or a line such as '* * 24-26 12 *'") from None


def _is_line(text: str) -> bool:
    return len(text.split()) > 1


class Exclusions:
    """Of checked texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._dates = {date.fromisoformat(text) for text in texts if not _is_line(text)}
        lines = [_Line(text) for text in texts if _is_line(text)]
        # Most of many lines are those of one day, such as a holiday.
        self._lines = {month: [line for line in lines if month in line.months] for month in _MONTHS}

    def until(self, wall: datetime) -> datetime | None:
        """The last second that is left out together with this one; None: this one is not left out."""
        if wall.date() in self._dates:
            return wall.replace(hour=23, minute=59, second=59)
        return max((until for line in self._lines[wall.month] if (until := line.until(wall)) is not None), default=None)


# To read 400 lines takes longer than to find a tick. Those of one schedule may take megabytes.
exclusions_of = lru_cache(maxsize=16)(Exclusions)


class _Line:
    def __init__(self, text: str) -> None:
        # Five fields leave out whole minutes.
        self._sim = sim = CronSim(text if len(text.split()) == 6 else f"* {text}", ANY_TIME)
        self.months = sim.months
        self._whole: dict[str, Any] = {}
        if len(sim.seconds) == _ALL_SECONDS:
            self._whole["second"] = 59
            if len(sim.minutes) == _ALL_MINUTES:
                self._whole["minute"] = 59
                if len(sim.hours) == _ALL_HOURS:
                    self._whole["hour"] = 23

    def until(self, wall: datetime) -> datetime | None:
        sim = self._sim
        found = (
            wall.minute in sim.minutes and wall.hour in sim.hours and wall.second in sim.seconds and sim.match_day(wall)
        )
        return wall.replace(**self._whole) if found else None


class LeftOut:
    """What one walk through the times of a schedule comes by. `times`: which ones, in words."""

    def __init__(self, exclusions: Exclusions, times: str) -> None:
        self._exclusions = exclusions
        self._times = times
        self._in_a_row = 0
        self._since = ANY_TIME

    def until(self, wall: datetime) -> datetime | None:
        """As of the exclusions. Raises InvalidJob where too much in a row is left out to be looked through."""
        until = self._exclusions.until(wall)
        if until is None:
            self._in_a_row = 0
            return None
        if not self._in_a_row:
            self._since = wall
        self._in_a_row += 1
        if self._in_a_row > _MOST_IN_A_ROW or wall.year > self._since.year + _MOST_YEARS:
            why = f"nothing is left of {self._times} from {self._since.date()} to {wall.date()}"
            raise wrong("exclude", why, "exclude less, and whole days where they are meant")
        return until
