"""When a schedule fires, in words for people: `at 08:00 and 09:00 on weekdays, Europe/Berlin`."""

from __future__ import annotations

from typing import Final

from cronsim import CronSim

from ironforge.formats.numbers import counted, shown
from ironforge.schedules.cron import ANY_TIME
from ironforge.schedules.definition import Schedule

_SHORTER: Final = (("on Monday through Friday", "on weekdays"), ("on Saturday and Sunday", "on weekends"))
_UNITS: Final = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
# More exclusions are counted.
_TOLD: Final = 3


def words(schedule: Schedule) -> str:
    """Of a checked schedule, on one line."""
    said = [" and ".join(_line(line) for line in schedule.cron)]
    if schedule.every_seconds is not None:
        said = [_every(schedule.every_seconds)]
    if schedule.cron or schedule.exclude:
        said.append(schedule.timezone)
    if schedule.exclude:
        told = schedule.exclude if len(schedule.exclude) <= _TOLD else [counted(len(schedule.exclude), "exclusion")]
        said.append(f"except {', '.join(told)}")
    if schedule.start is not None:
        said.append(f"from {schedule.start.isoformat()}")
    if schedule.end is not None:
        said.append(f"until {schedule.end.isoformat()}")
    if schedule.jitter_seconds:
        said.append(f"up to {shown(schedule.jitter_seconds)} s later")
    return ", ".join(said)


def _line(line: str) -> str:
    said: str = CronSim(line, ANY_TIME).explain()
    for long, short in _SHORTER:
        said = said.replace(long, short)
    return said[0].lower() + said[1:]


def _every(seconds: float) -> str:
    for length, unit in _UNITS:
        if seconds % length == 0:
            number = int(seconds / length)
            return f"every {unit}" if number == 1 else f"every {number} {unit}s"
    return f"every {shown(seconds)} seconds"
