"""When a schedule fires.

cronsim walks the clock on the wall as if it were never changed. What one of its times is in real time is said here, and
what becomes of one that a change of the clock leaves out, or brings twice. Each is taken when it comes first, or when
it comes last; one that comes twice is taken twice where the line is walked in both ways.

A line for every hour of the day goes by real time: it is walked in both ways, and takes nothing of a gap. So it fires
whenever the clock shows one of its times.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import time
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from cronsim import CronSim

from ironforge.schedules.cron import ANY_TIME
from ironforge.schedules.definition import Gap, Timing
from ironforge.schedules.exclusions import LeftOut, exclusions_of
from ironforge.schedules.walls import Walls
from ironforge.schedules.zones import zone

# Python's clocks end with the year 9999, and one zone's earlier than another's.
FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 9998
_EPOCH: Final = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
LAST_MS: Final = (datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC) - _EPOCH) // _MS
_ALL_HOURS: Final = 24
# For ticks that somebody waits for.
LOOK_SECONDS: Final = 2.0

T = TypeVar("T")


class Tick(NamedTuple):
    """`at_ms`: Unix milliseconds. `local`: the same by the clock of the schedule's zone, ISO 8601 with its offset.
    `note`: what a change of that clock does to it, or to those right before it, in words; or nothing."""

    at_ms: int
    local: str
    note: str


class _Moment(NamedTuple):
    """Of two at one time, one that has a note sorts before one that is `bare`."""

    at_ms: int
    bare: bool
    note: str


def ticks(schedule: Timing, after_ms: int) -> Iterator[Tick]:
    """Those of a checked schedule that are later than `after_ms`, in order, one at a time: none before its start, one
    at its start counts, none at its end or later. They go on for ever unless it has an end.

    Raises InvalidJob, on the way, where the exclusions leave out too many in a row.
    """
    in_zone = zone(schedule.timezone)
    end_ms = LAST_MS if schedule.end is None else min(LAST_MS, _ms(schedule.end))
    last_ms = after_ms if schedule.start is None else max(after_ms, _ms(schedule.start) - 1)
    if last_ms >= end_ms:
        return
    for moment in heapq.merge(*_walks(schedule, in_zone, last_ms)):
        if moment.at_ms >= end_ms:
            return
        if moment.at_ms > last_ms:
            last_ms = moment.at_ms
            yield Tick(last_ms, local_time(last_ms, in_zone), moment.note)


def looked_for(found: Iterator[T], count: int) -> tuple[list[T], bool]:
    """The first `count` of these, or those that are found within LOOK_SECONDS, and whether it are as many as there
    are. Exclusions may leave thousands of times out between two ticks."""
    until, those = time.monotonic() + LOOK_SECONDS, []
    for tick in itertools.islice(found, count):
        those.append(tick)
        if time.monotonic() > until:
            return those, len(those) == count
    return those, True


def local_time(at_ms: int, in_zone: ZoneInfo) -> str:
    """ISO 8601 with the offset of the zone at that time."""
    return _at(at_ms).astimezone(in_zone).isoformat()


def fire_ms(name: str, tick_ms: int, jitter_seconds: float) -> int:
    """When the tick at `tick_ms` of the schedule of this name fires: then, or later by less than the jitter. It follows
    from these three alone, so that all who ask get the same answer."""
    if not jitter_seconds:
        return tick_ms
    drawn = hashlib.blake2b(f"{tick_ms} {name}".encode(), digest_size=8).digest()
    return tick_ms + int.from_bytes(drawn) % max(1, round(jitter_seconds * 1000))


def _walks(schedule: Timing, in_zone: ZoneInfo, after_ms: int) -> Iterator[Iterator[_Moment]]:
    """Each in order, and perhaps with some that are not later than `after_ms`."""
    exclusions = exclusions_of(schedule.exclude)
    if schedule.every_seconds is not None:
        every_ms = round(schedule.every_seconds * 1000)
        anchor_ms = 0 if schedule.start is None else _ms(schedule.start)
        first_ms = after_ms + every_ms - (after_ms - anchor_ms) % every_ms
        yield _real_time(first_ms, every_ms, in_zone, LeftOut(exclusions, "every_seconds"))
    for line in schedule.cron:
        by_real_time = len(CronSim(line, ANY_TIME).hours) == _ALL_HOURS
        gap, fold = (None, "both") if by_real_time else (schedule.gap, schedule.fold)
        for way in ("first", "last"):
            if fold in (way, "both"):
                walls = _walls(line, _wall_before(after_ms, in_zone), LeftOut(exclusions, repr(line)))
                yield _taken(walls, in_zone, way, gap)


def _real_time(at_ms: int, every_ms: int, in_zone: ZoneInfo, left_out: LeftOut) -> Iterator[_Moment]:
    while at_ms < LAST_MS:
        until = left_out.until(_at(at_ms).astimezone(in_zone))
        if until is None:
            yield _Moment(at_ms, bare=True, note="")
            at_ms += every_ms
        else:
            # That may be a time that comes twice, or not at all: the earlier one leaves nothing out that should be in.
            until_ms = min(_ms(until.replace(microsecond=0, fold=0)), _ms(until.replace(microsecond=0, fold=1)))
            at_ms += max(1, -((at_ms - until_ms - 1000) // every_ms)) * every_ms


def _walls(line: str, after: datetime, left_out: LeftOut) -> Iterator[datetime]:
    """The times on the wall that a line names."""
    walls = Walls(line, after)
    try:
        for wall in walls:
            until = left_out.until(wall)
            if until is None:
                yield wall
            else:
                walls.dt = until
    except OverflowError:  # the year 10,000
        return


def _wall_before(at_ms: int, in_zone: ZoneInfo) -> datetime:
    """No time on the wall up to this one is later than `at_ms` in any way in which it can be taken."""
    at = _at(at_ms)
    # Where the clock is about to be put back, those that it shows now come again.
    offset = at.astimezone(in_zone).replace(fold=1).utcoffset()
    assert offset is not None
    return (at + offset).replace(tzinfo=None)


def _taken(walls: Iterator[datetime], in_zone: ZoneInfo, way: str, gap: Gap | None) -> Iterator[_Moment]:
    """`way`: the times that come twice are taken when they come first, or last. `gap`: None: those that do not exist
    are not missed, and nothing is worth a note."""
    missing: list[datetime] = []
    for wall in walls:
        # By the offset before a change of the clock, and by the one after it.
        first_ms, last_ms = _ms(wall.replace(tzinfo=in_zone)), _ms(wall.replace(tzinfo=in_zone, fold=1))
        if first_ms <= last_ms:
            note = ""
            if missing:
                others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
                note = f"before it {_shown(missing[0])}{others} left out: the clock is put forward past that"
                missing.clear()
            elif first_ms < last_ms and gap is not None:
                note = f"{_shown(wall)} comes twice, as the clock is put back: this is the {way}"
            yield _Moment(first_ms if way == "first" else last_ms, not note, note)
        elif gap == "run":
            note = f"in place of {_shown(wall)}: the clock is put forward past that"
            yield _Moment(_end_of_gap(last_ms, first_ms, in_zone), bare=False, note=note)
        elif gap == "skip":
            missing.append(wall)


def _end_of_gap(before_ms: int, after_ms: int, in_zone: ZoneInfo) -> int:
    """When the clock was put forward, after the one time and not after the other."""
    seconds = range(before_ms // 1000, after_ms // 1000 + 1)

    def offset(second: int) -> timedelta | None:
        return _at(second * 1000).astimezone(in_zone).utcoffset()

    before = offset(seconds[0])
    return seconds[bisect_left(seconds, True, key=lambda second: offset(second) != before)] * 1000


def _shown(wall: datetime) -> str:
    return wall.isoformat(" ", "seconds" if wall.second else "minutes")


def _ms(moment: datetime) -> int:
    """Unix milliseconds, the later where it lies between two."""
    return -((_EPOCH - moment) // _MS)


def _at(ms: int) -> datetime:
    return _EPOCH + ms * _MS
