"""Schedules in words for people."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import assume, given
from hypothesis import strategies as st

from ironforge.job.request import JobRequest
from ironforge.schedules.cron import ANY_TIME
from ironforge.schedules.definition import Schedule
from ironforge.schedules.line_words import line_words
from ironforge.schedules.words import words

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
LATER = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0 8,9 * * 1-5", "at 08:00 and 09:00 on weekdays"),
        ("0 0,6,12,18 * * *", "at 00:00, 06:00, 12:00 and 18:00 every day"),
        ("0 9 * * 1-5,0", "at 09:00 on Monday to Friday and Sunday"),
        ("10 30 12 * * 5L", "at 12:30:10 on the last Friday of the month"),
        ("0 0 * * MON#5,6L,3", "at 00:00 on Wednesday, the fifth Monday and the last Saturday of the month"),
        ("0 12 * 3,6 1#1", "at 12:00 on the first Monday of March and June"),
        ("0 9 1 1 *", "at 09:00 on the 1st of January"),
        ("0 9 2,11,22,23 * *", "at 09:00 on the 2nd, 11th, 22nd and 23rd of the month"),
        ("0 0 L,15 jan,JUN *", "at 00:00 on the 15th and the last day of January and June"),
        ("0 0 LW * *", "at 00:00 on the last weekday of the month"),
        ("0 9 * 3-6,11 *", "at 09:00 every day in March to June and November"),
        ("0 9 * */3 7", "at 09:00 on Sunday in January, April, ..., October"),
        # Either of the two, or both where one begins with a star.
        ("7 6 5 4 3 2", "at 05:06:07 on the 4th of March or on Tuesday in March"),
        ("0 9 */2 * 1-5", "at 09:00 on weekdays if it is the 1st, 3rd, ..., 31st of the month"),
        ("0 9 1-31 * 1", "at 09:00 every day"),
        ("* * * * *", "every minute"),
        ("* * * 5 *", "every minute in May"),
        ("*/15 * * * *", "every 15 minutes"),
        ("0 * * * *", "every hour on the hour"),
        ("5 * * * *", "at minute 5 past every hour"),
        # Not in equal steps over the hour.
        ("*/7 * * * *", "at minutes 0, 7, ..., 56 past every hour"),
        ("30,45 * * * *", "at minutes 30 and 45 past every hour"),
        ("5,35 * * * *", "at minutes 5 and 35 past every hour"),
        ("*/15 9-17 * * sat,sun", "every 15 minutes from 09:00 to 17:45 on weekends"),
        ("5/30 9-17 * * *", "every 30 minutes from 09:05 to 17:35"),
        ("0-30/5 9 * * *", "every 5 minutes from 09:00 to 09:30"),
        ("* 9 * * *", "every minute from 09:00 to 09:59"),
        ("* 9,11 * * *", "every minute of hours 9 and 11"),
        ("*/15 8,10,12 * * *", "at minutes 0, 15, ..., 45 past hours 8, 10 and 12"),
        ("0 */2 * * *", "every 2 hours from 00:00 to 22:00"),
        ("5 9-17 1 * *", "every hour from 09:05 to 17:05 on the 1st of the month"),
        ("* * * * * *", "every second"),
        ("*/10 * * * * *", "every 10 seconds"),
        ("30 * * * * *", "at second 30 of every minute"),
        ("0,30 5 * * * *", "at seconds 0 and 30 of minute 5 past every hour"),
        ("* * 9-17 * * *", "every second of every minute of hours 9 to 17"),
        ("1,2 3,4 5,6,8 * * *", "at seconds 1 and 2 of minutes 3 and 4 past hours 5, 6 and 8"),
        (
            "1,2,4,8,16,32 1,2,4,8,16,32 1,2,4,8,16 1,2,4,8,16,31 1,2,4,8,12  *",
            "as '1,2,4,8,16,32 1,2,4,8,16,32 1,2,4,8,16 1,2,4,8,16,31 1,2,4,8,12 *' says",
        ),
    ],
)
def test_a_line_in_words(line: str, expected: str) -> None:
    assert words(Schedule(job=JobRequest(kind="a"), cron=(line,))) == f"{expected}, UTC"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            {"cron": ("0 8,9 * * 1-5",), "timezone": "Europe/Berlin"},
            "at 08:00 and 09:00 on weekdays, Europe/Berlin",
        ),
        (
            {"cron": ("0 9 * * *", "10 30 12 * * 5L")},
            "at 09:00 every day, and at 12:30:10 on the last Friday of the month, UTC",
        ),
        ({"cron": ("0 9 * * 1-5", "30 17 * * mon-fri")}, "at 09:00 and at 17:30 on weekdays, UTC"),
        ({"cron": ("0 9 * * *", "0 9 */1 * *")}, "at 09:00 every day, UTC"),
        (
            {"cron": ("0 1 1 * *", "0 2 2 * *", "0 3 3 * *", "0 4 4 * *", "0 5 4 * *")},
            (
                "at 01:00 on the 1st of the month, and at 02:00 on the 2nd of the month, "
                "and at 03:00 on the 3rd of the month, and by 2 more lines, UTC"
            ),
        ),
        ({"every_seconds": 1}, "every second"),
        ({"every_seconds": 1.5}, "every 1.5 seconds"),
        ({"every_seconds": 90}, "every 90 seconds"),
        ({"every_seconds": 3600, "jitter_seconds": 30}, "every hour, up to 30 s later"),
        ({"every_seconds": 60, "exclude": ("2026-12-25",)}, "every minute, UTC, except 2026-12-25"),
        ({"every_seconds": 172_800, "start": NOON}, "every 2 days, from 2026-12-01 12:00 UTC"),
        (
            {
                "every_seconds": 60,
                "start": NOON,
                "end": NOON.astimezone(timezone(timedelta(hours=1))).replace(second=5),
            },
            "every minute, from 2026-12-01 12:00 UTC, until 2026-12-01 13:00:05+01:00",
        ),
        (
            {"cron": ("0 9 * * *",), "exclude": ("2026-12-25", "* * 1 1 *"), "end": NOON},
            "at 09:00 every day, UTC, with 2 exclusions, until 2026-12-01 12:00 UTC",
        ),
        ({"cron": ("0 9 * * *",), "exclude": ("2026-12-25",) * 4}, "at 09:00 every day, UTC, with 4 exclusions"),
    ],
)
def test_in_words(said: dict[str, Any], expected: str) -> None:
    assert words(Schedule(job=JobRequest(kind="a"), **said)) == expected


def field(low: int, high: int, *others: str) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).filter(lambda ends: ends[0] < ends[1]).map(lambda ends: f"{ends[0]}-{ends[1]}")
    step = st.tuples(st.one_of(st.just("*"), span), st.integers(1, high - low)).map(lambda two: f"{two[0]}/{two[1]}")
    numbers = st.lists(number, min_size=1, max_size=5).map(lambda found: ",".join(map(str, found)))
    return st.one_of(st.just("*"), numbers, span, step, *map(st.just, others))


FIELDS = (
    field(0, 59, "0"),
    field(0, 59, "0", "*/15"),
    field(0, 23),
    field(1, 31, "L", "LW", "1,L"),
    field(1, 12),
    field(0, 7, "MON#2", "5L", "1,MON#1", "1-5"),
)
DAYS = [date(2024, 1, 1) + timedelta(days=number) for number in range(4 * 365)]


def meaning(fields: list[str]) -> tuple[object, ...] | None:
    """The times of a day, and the days of four years; None: that is no line."""
    try:
        sim = CronSim(" ".join(fields), ANY_TIME)
        next(sim)
    except (CronSimError, StopIteration):
        return None
    days = [day for day in DAYS if day.month in sim.months and sim.match_day(day)]
    return sim.seconds, sim.minutes, sim.hours, days


@given(fields=st.tuples(*FIELDS).map(list), data=st.data())
def test_two_lines_that_differ_have_different_words(fields: list[str], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, 5))
    others = [data.draw(FIELDS[place]) if index == place else text for index, text in enumerate(fields)]
    meant, otherwise = meaning(fields), meaning(others)
    assume(meant and otherwise and meant != otherwise)

    assert line_words(" ".join(fields)) != line_words(" ".join(others))
