"""When a schedule fires, found out in the plainest way: each step of real time is looked up on the clock of the zone.

And schedules to ask about, made up around a moment so that a good part of them fires there.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from ironforge.job.request import JobRequest
from ironforge.schedules.definition import Schedule

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
DAY_NAMES = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


class Field(NamedTuple):
    text: str
    numbers: frozenset[int]


class Line(NamedTuple):
    """A cron line and what it means. `second`: None: it has five fields."""

    second: Field | None
    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field

    @property
    def text(self) -> str:
        return " ".join(field.text for field in self if field is not None)

    def names(self, wall: datetime, *, whole_minutes: bool = False) -> bool:
        second = wall.second == 0 or whole_minutes if self.second is None else wall.second in self.second.numbers
        return (
            second
            and wall.minute in self.minute.numbers
            and wall.hour in self.hour.numbers
            and wall.month in self.month.numbers
            and self._is_day(wall)
        )

    def _is_day(self, wall: datetime) -> bool:
        is_last = (wall + DAY).month != wall.month
        days = wall.day in self.day.numbers or (self.day.text == "L" and is_last)
        weekdays = wall.isoweekday() % 7 in self.weekday.numbers
        if "#" in self.weekday.text:
            weekdays = weekdays and (wall.day + 6) // 7 == int(self.weekday.text[-1])
        if self.day.text.startswith("*") or self.weekday.text.startswith("*"):
            return days and weekdays
        return days or weekdays


class Case(NamedTuple):
    """`excluded`: lines and dates."""

    schedule: Schedule
    lines: list[Line]
    excluded: list[Line | date]


# --------------------------------------------------------------------------- the answer


def expected(case: Case, start: datetime, end: datetime) -> Iterator[int]:
    """The ticks from `start` to before `end`, in Unix milliseconds."""
    schedule, zone = case.schedule, ZoneInfo(case.schedule.timezone)
    step = timedelta(minutes=1) if all(line.second is None for line in case.lines) else timedelta(seconds=1)
    margin = (end - start) / 2
    first, steps = start - margin, int(2 * (end - start) / step)
    moments = [first + step * number for number in range(steps)]
    clock = [(moment, moment.astimezone(zone).replace(tzinfo=None, fold=0)) for moment in moments]
    found = set(_real_time(case, start, end, zone)) | set(_by_the_clock(case, clock, step))
    least = start if schedule.start is None else max(start, schedule.start)
    most = end if schedule.end is None else min(end, schedule.end)
    return (ms_of(moment) for moment in sorted(found) if least <= moment < most)


def _real_time(case: Case, start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    if case.schedule.every_seconds is not None:
        every = timedelta(seconds=case.schedule.every_seconds)
        moment = start - (start - (case.schedule.start or EPOCH)) % every
        while moment < end:
            if not _is_excluded(case, moment.astimezone(zone)):
                yield moment
            moment += every


def _by_the_clock(case: Case, clock: list[tuple[datetime, datetime]], step: timedelta) -> Iterator[datetime]:
    shown: dict[datetime, list[datetime]] = {}
    for moment, wall in clock:
        shown.setdefault(wall, []).append(moment)
    skipped: dict[datetime, datetime] = {}
    for (_, before), (moment, wall) in itertools.pairwise(clock):
        missing = before + step
        while missing < wall:
            skipped[missing] = moment
            missing += step
    for line in case.lines:
        real_time = len(line.hour.numbers) == 24
        for wall, moments in shown.items():
            if line.names(wall) and not _is_excluded(case, wall):
                yield from moments if real_time else _taken(moments, case.schedule.fold)
        if not real_time and case.schedule.gap == "run":
            yield from (at for wall, at in skipped.items() if line.names(wall) and not _is_excluded(case, wall))


def _taken(moments: list[datetime], fold: str) -> list[datetime]:
    return {"first": moments[:1], "last": moments[-1:], "both": moments}[fold]


def _is_excluded(case: Case, wall: datetime) -> bool:
    return any(
        each.names(wall, whole_minutes=True) if isinstance(each, Line) else wall.date() == each
        for each in case.excluded
    )


def ms_of(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


# --------------------------------------------------------------------------- questions


def made_up(chance: random.Random, zone: str, around: datetime, *, seconds: bool) -> Case:
    """`around`: a time on the wall of the zone. `seconds`: lines may have six fields."""
    lines: list[Line] = []
    every = None
    if chance.random() < 0.1:
        every = chance.choice((60, 300, 1000, 3600, 5400))
    else:
        lines = [_line(chance, around, seconds=seconds) for _ in range(chance.choice((1, 1, 1, 2)))]
    excluded: list[Line | date] = []
    if chance.random() < 0.2:
        whole_day = around.date() + chance.choice((-1, 0, 1)) * DAY
        excluded = [chance.choice((whole_day, _line(chance, around, seconds=False)))]
    # A start or an end that is near.
    near = around.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) + timedelta(minutes=chance.randint(-120, 120))
    schedule = Schedule(
        job=JobRequest(kind="a"),
        cron=tuple(line.text for line in lines),
        every_seconds=every,
        timezone=zone,
        start=near if chance.random() < 0.1 else None,
        end=near + DAY if chance.random() < 0.1 else None,
        exclude=tuple(each.text if isinstance(each, Line) else each.isoformat() for each in excluded),
        gap=chance.choice(("run", "skip")),
        fold=chance.choice(("first", "last", "both")),
    )
    return Case(schedule, lines, excluded)


def _line(chance: random.Random, around: datetime, *, seconds: bool) -> Line:
    return Line(
        _field(chance, 0, 59, around.second) if seconds else None,
        _field(chance, 0, 59, around.minute),
        _field(chance, 0, 23, around.hour),
        _rarely(chance, _field(chance, 1, 31, around.day), Field("L", frozenset()), 1, 31),
        _rarely(chance, _field(chance, 1, 12, around.month), Field("1-12", frozenset(range(1, 13))), 1, 12),
        _rarely(chance, _weekday(chance, around), _nth(around), 0, 6),
    )


def _weekday(chance: random.Random, around: datetime) -> Field:
    text, numbers = _field(chance, 0, 7, around.isoweekday() % 7)
    return Field(text, frozenset(number % 7 for number in numbers))


def _nth(around: datetime) -> Field:
    """Such as the second Monday, if it is one."""
    return Field(f"{DAY_NAMES[around.weekday()]}#{(around.day + 6) // 7}", frozenset((around.isoweekday() % 7,)))


def _rarely(chance: random.Random, field: Field, other: Field, low: int, high: int) -> Field:
    return chance.choices((Field("*", frozenset(range(low, high + 1))), field, other), (7, 2, 1))[0]


def _field(chance: random.Random, low: int, high: int, near: int) -> Field:
    everything = range(low, high + 1)
    close = min(high, max(low, near + chance.choice((-2, -1, 0, 0, 1, 2))))
    first, last = sorted((chance.choice((close, chance.choice(everything))), chance.choice(everything)))
    step = chance.randint(1, high - low)
    stepped = Field(f"{first}-{last}/{step}", frozenset(range(first, last + 1)[::step]))
    return chance.choice(
        (
            Field("*", frozenset(everything)),
            Field(f"*/{step}", frozenset(everything[::step])),
            Field(str(first), frozenset((first,))),
            Field(f"{first},{last}", frozenset((first, last))),
            Field(f"{first}-{last}", frozenset(range(first, last + 1))),
            stepped if first < last else Field(str(last), frozenset((last,))),
            Field(f"{first}/{step}", frozenset(range(first, high + 1)[::step])),
        )
    )
