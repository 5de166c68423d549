"""A cron line in words for people, made from what cronsim read, so that all spellings of a line become one.

Every number that it names is told, or follows from what is told: where two lines differ, their words do too. A step
that does not lead into the next hour is not called one: `*/7` is `at minutes 0, 7, ..., 56 past every hour`, for four
minutes lie between the last of them and the first.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from cronsim import CronSim

from ironforge.schedules.cron import ANY_TIME

_MONTHS: Final = (
    *("", "January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
# As people count them: from Monday on.
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_GROUPS: Final = {(0, 1, 2, 3, 4): "weekdays", (5, 6): "weekends"}
_WHICH: Final = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", CronSim.LAST: "last"}
_LAST_DAYS: Final = {CronSim.LAST: "the last day", CronSim.LAST_WEEKDAY: "the last weekday"}
_MINUTES, _HOURS, _DAYS, _YEAR, _WEEK = 60, 24, 31, 12, 7
# Of one line: more are told by minute and hour.
_MOST_TIMES: Final = 4
# So few in a row are told one by one.
_RUN: Final = 3


class LineWords(NamedTuple):
    """`times`: `at 09:00`. `days`: `on weekdays`, or nothing."""

    times: str
    days: str


def line_words(line: str) -> LineWords:
    """Of a checked line."""
    sim = CronSim(line, ANY_TIME)
    seconds, minutes, hours = sorted(sim.seconds), sorted(sim.minutes), sorted(sim.hours)
    days = _days(sim)
    if len(seconds) * len(minutes) * len(hours) > _MOST_TIMES:
        return LineWords(_spans(minutes, hours) if seconds == [0] else _by_field(seconds, minutes, hours), days)
    times = [_time(hour, minute, second) for hour in hours for minute in minutes for second in seconds]
    if seconds == [0]:
        times = [time.removesuffix(":00") for time in times]
    return LineWords(f"at {joined(times)}", f"every day {days}".rstrip() if not days.startswith("on ") else days)


def joined(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _spans(minutes: list[int], hours: list[int]) -> str:
    """Where it goes on in equal steps from its first time of the day to its last: these three. Otherwise by field."""
    every = _step_around(minutes, _MINUTES)
    each_hour = len(hours) == _HOURS
    if each_hour and minutes == [0]:
        return "every hour on the hour"
    if each_hour and every and minutes[0] == 0:
        return _every(every, "minute")
    first, last = f"{hours[0]:02}:{minutes[0]:02}", f"{hours[-1]:02}:{minutes[-1]:02}"
    if every and not each_hour and _step(hours) == 1:
        return f"{_every(every, 'minute')} from {first} to {last}"
    if len(hours) == 1 and _step(minutes):
        return f"{_every(_step(minutes), 'minute')} from {first} to {last}"
    if len(minutes) == 1 and not each_hour and _step(hours):
        return f"{_every(_step(hours), 'hour')} from {first} to {last}"
    return _by_field([0], minutes, hours)


def _by_field(seconds: list[int], minutes: list[int], hours: list[int]) -> str:
    each_minute = len(minutes) == _MINUTES
    each_hour = len(hours) == _HOURS
    every = _step_around(seconds, _MINUTES)
    if each_minute and each_hour and every and seconds[0] == 0:
        return _every(every, "second")
    said = "" if seconds == [0] else f"{_numbers('second', seconds, _MINUTES)} of "
    said += _numbers("minute", minutes, _MINUTES)
    if not (each_minute and each_hour):
        said += f" {'of' if each_minute else 'past'} {_numbers('hour', hours, _HOURS)}"
    return said if said.startswith("every") else f"at {said}"


def _numbers(noun: str, numbers: list[int], all_of_them: int) -> str:
    if len(numbers) == all_of_them:
        return f"every {noun}"
    return f"{noun}{'s' * (len(numbers) > 1)} {_listed(numbers, str)}"


def _every(step: int, unit: str) -> str:
    return f"every {unit}" if step == 1 else f"every {step} {unit}s"


def _step(numbers: Sequence[int]) -> int:
    """Between each of them and the next, 1 for a single one; 0: it is not always the same."""
    steps = {after - before for before, after in itertools.pairwise(numbers)} or {1}
    return steps.pop() if len(steps) == 1 else 0


def _step_around(numbers: Sequence[int], size: int) -> int:
    """One that also leads from the last of them to the first of the next hour or minute; 0: there is none."""
    step = _step([*numbers, numbers[0] + size])
    return step if step < size else 0


def _listed(numbers: Sequence[int], shown: Callable[[int], str]) -> str:
    """`1, 2 and 15 to 20`, or `0, 7, ..., 56`."""
    step = _step(numbers)
    if step > 1 and len(numbers) > _RUN:
        return f"{shown(numbers[0])}, {shown(numbers[1])}, ..., {shown(numbers[-1])}"
    said: list[str] = []
    for _, run in itertools.groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        words = [shown(number) for _, number in run]
        said += words if len(words) < _RUN else [f"{words[0]} to {words[-1]}"]
    return joined(said)


def _time(hour: int, minute: int, second: int) -> str:
    return f"{hour:02}:{minute:02}:{second:02}"


def _days(sim: CronSim) -> str:
    months = "" if len(sim.months) == _YEAR else _listed(sorted(sim.months), lambda month: _MONTHS[month])
    weekdays = {day if isinstance(day, tuple) else (day, 0) for day in sim.weekdays}
    weekdays = {((day - 1) % _WEEK, which) for day, which in weekdays}
    any_day = len([day for day in sim.days if day > 0]) == _DAYS
    any_weekday = len([day for day, which in weekdays if not which]) == _WEEK
    if (any_day and any_weekday) or ((any_day or any_weekday) and not sim.day_and):
        return f"in {months}" if months else ""
    if any_weekday:
        return f"on {_of_month(sim.days)} of {months or 'the month'}"
    if any_day:
        return f"on {_of_week(weekdays, months)}"
    if sim.day_and:
        return f"on {_of_week(weekdays, months)} if it is {_of_month(sim.days)} of the month"
    return f"on {_of_month(sim.days)} of {months or 'the month'} or on {_of_week(weekdays, months)}"


def _of_month(days: Iterable[int]) -> str:
    numbers = sorted(day for day in days if day > 0)
    said = [f"the {_listed(numbers, _ordinal)}"] if numbers else []
    return joined(said + [_LAST_DAYS[day] for day in sorted(days, reverse=True) if day < 0])


def _of_week(weekdays: Iterable[tuple[int, int]], months: str) -> str:
    plain = tuple(sorted(day for day, which in weekdays if not which))
    said = [_GROUPS.get(plain) or _listed(plain, lambda day: _WEEKDAYS[day])] if plain else []
    counted = [(day, which) for day, which in sorted(weekdays) if which]
    said += [f"the {_WHICH[which]} {_WEEKDAYS[day]}" for day, which in counted]
    if counted:
        return f"{joined(said)} of {months or 'the month'}"
    return f"{joined(said)} in {months}" if months else joined(said)


def _ordinal(number: int) -> str:
    if 10 < number < 14:
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
