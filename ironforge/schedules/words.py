"""When a schedule fires, in words for people: `at 08:00 and 09:00 on weekdays, Europe/Berlin`."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ironforge.formats.numbers import counted, shown
from ironforge.schedules.definition import Timing
from ironforge.schedules.line_words import joined, line_words

_UNITS: Final = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
# A line that takes more characters in words is told as it is written.
_MOST_CHARACTERS: Final = 120
# More are counted: of lines for other days, and of exclusions.
_TOLD: Final = 3


def words(schedule: Timing) -> str:
    """Of a checked schedule, on one line."""
    said = _lines(schedule.cron)
    if schedule.every_seconds is not None:
        said = [_every(schedule.every_seconds)]
    if schedule.cron or schedule.exclude:
        said.append(schedule.timezone)
    if schedule.exclude:
        dates = len(schedule.exclude) <= _TOLD and all(len(text.split()) == 1 for text in schedule.exclude)
        told = joined(schedule.exclude) if dates else counted(len(schedule.exclude), "exclusion")
        said.append(f"except {told}" if dates else f"with {told}")
    if schedule.start is not None:
        said.append(f"from {_moment(schedule.start)}")
    if schedule.end is not None:
        said.append(f"until {_moment(schedule.end)}")
    if schedule.jitter_seconds:
        said.append(f"up to {shown(schedule.jitter_seconds)} s later")
    return ", ".join(said)


def _lines(lines: tuple[str, ...]) -> list[str]:
    """Those for the same days in one."""
    times: dict[str, list[str]] = {}
    for line in lines:
        at, days = line_words(line)
        if len(f"{at} {days}") > _MOST_CHARACTERS:
            at, days = f"as {' '.join(line.split())!r} says", ""
        times.setdefault(days, []).append(at)
    said = [f"{joined(list(dict.fromkeys(at)))} {days}".rstrip() for days, at in times.items()]
    untold = sum(len(at) for at in list(times.values())[_TOLD:])
    more = [f"and by {counted(untold, 'more line')}"] if untold else []
    return [*said[:1], *(f"and {each}" for each in said[1:_TOLD]), *more]


def _moment(moment: datetime) -> str:
    precise = moment.second or moment.microsecond
    return moment.isoformat(" ", "auto" if precise else "minutes").replace("+00:00", " UTC")


def _every(seconds: float) -> str:
    for length, unit in _UNITS:
        if seconds % length == 0:
            number = int(seconds / length)
            return f"every {unit}" if number == 1 else f"every {number} {unit}s"
    return f"every {shown(seconds)} seconds"
