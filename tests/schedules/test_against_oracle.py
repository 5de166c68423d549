"""Ticks against an oracle: made-up schedules in every zone, around each change of its clock."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironforge.errors import InvalidJob
from ironforge.schedules.checks import check_schedule
from ironforge.schedules.ticks import ticks
from ironforge.schedules.words import words
from tests.schedules.oracle import DAY, Case, expected, made_up, ms_of

FIRST, LAST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2040, 12, 31, tzinfo=UTC)
HOUR = timedelta(hours=1)
PARTS = 8
# By half an hour, by two hours, past midnight, a minute past midnight, a whole day left out, the other way round in
# winter, twice a year with the moon, and none at all.
SAMPLED = (
    *("Australia/Lord_Howe", "Antarctica/Troll", "America/Sao_Paulo", "Asia/Beirut", "America/St_Johns"),
    *("Pacific/Apia", "Pacific/Kwajalein", "Europe/Dublin", "Africa/Casablanca", "Europe/Berlin", "UTC"),
)


@cache
def changes(name: str) -> list[datetime]:
    """When the clock of a zone was put forward or back."""
    zone = ZoneInfo(name)
    days = [FIRST + DAY * number for number in range((LAST - FIRST).days)]
    return [_change(zone, day, then) for day, then in itertools.pairwise(days) if _differ(zone, day, then)]


def _differ(zone: ZoneInfo, one: datetime, other: datetime) -> bool:
    return one.astimezone(zone).utcoffset() != other.astimezone(zone).utcoffset()


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        before, after = (before, middle) if _differ(zone, before, middle) else (middle, after)
    return after


def agree(chance: random.Random, zone: str, change: datetime, hours: float, *, seconds: bool = False) -> None:
    """Some hours around the change, and what it takes out of the clock or puts in."""
    local = [(change + side * timedelta(seconds=1)).astimezone(ZoneInfo(zone)) for side in (-1, 0)]
    shift = abs((local[1].utcoffset() or HOUR) - (local[0].utcoffset() or HOUR))
    start, end = change - shift - hours * HOUR, change + shift + hours * HOUR
    around = local[chance.randint(0, 1)].replace(tzinfo=None) + shift * chance.choice((-1, -0.5, 0, 0.5))
    case = made_up(chance, zone, around, seconds=seconds)
    if not is_right(case):
        return
    right = list(expected(case, start, end))
    assert found(case, ms_of(start) - 1, ms_of(end)) == right
    # From any moment on, they go on in the same way.
    middle = ms_of(start) + chance.randint(0, ms_of(end) - ms_of(start))
    assert found(case, middle, ms_of(end)) == [tick_ms for tick_ms in right if tick_ms > middle]
    assert words(case.schedule)


def found(case: Case, after_ms: int, end_ms: int) -> list[int]:
    walked = (tick.at_ms for tick in ticks(case.schedule, after_ms))
    return list(itertools.takewhile(lambda tick_ms: tick_ms < end_ms, walked))


def is_right(case: Case) -> bool:
    try:
        check_schedule(case.schedule)
    except InvalidJob:  # what it excludes leaves nothing
        return False
    return True


@given(chance=st.randoms(use_true_random=False), zone=st.sampled_from(SAMPLED), number=st.integers(0, 500))
def test_some_changes_of_some_clocks(chance: random.Random, zone: str, number: int) -> None:
    change = changes(zone)[number % len(changes(zone))] if changes(zone) else FIRST + DAY * number
    agree(chance, zone, change, hours=5)


@given(chance=st.randoms(use_true_random=False), zone=st.sampled_from(SAMPLED), days=st.floats(0, (LAST - FIRST).days))
def test_moments_like_any_other(chance: random.Random, zone: str, days: float) -> None:
    agree(chance, zone, (FIRST + days * DAY).replace(second=0, microsecond=0), hours=13)


@settings(max_examples=8)  # each looks up every second of hours
@given(chance=st.randoms(use_true_random=False), number=st.integers(0, 99))
def test_to_the_second(chance: random.Random, number: int) -> None:
    agree(chance, "Europe/Berlin", changes("Europe/Berlin")[number], hours=0.1, seconds=True)


CLOCKS: set[tuple[object, ...]] = set()


@pytest.mark.proof
@pytest.mark.unmeasured
@pytest.mark.parametrize("part", range(PARTS))
def test_each_change_of_every_clock(part: int) -> None:
    for zone in sorted(available_timezones() - {"localtime"})[part::PARTS]:
        shown = tuple((change, change.astimezone(ZoneInfo(zone)).utcoffset()) for change in changes(zone))
        if shown not in CLOCKS:  # many zones have the clock of another
            CLOCKS.add(shown)
            for change in changes(zone):
                agree(random.Random(f"{zone} {change}"), zone, change, hours=1)
