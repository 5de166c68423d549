"""When a schedule fires: by its policies where the clock is put forward or back, from its start to before its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any

import pytest

from ironforge.errors import InvalidJob
from ironforge.job.request import JobRequest
from ironforge.schedules.definition import Schedule
from ironforge.schedules.ticks import Tick, fire_ms, ticks
from tests.schedules.oracle import ms_of

BERLIN = "Europe/Berlin"
# The clock of Berlin is put forward at 02:00 on 29 March, and back at 03:00 on 25 October.
SPRING, AUTUMN = "2026-03-28T12:00:00+01:00", "2026-10-24T12:00:00+02:00"


def after(moment: str, most: int, **said: Any) -> list[Tick]:
    schedule = Schedule(**{"job": JobRequest(kind="report.nightly"), "timezone": BERLIN, **said})
    return list(islice(ticks(schedule, ms_of(datetime.fromisoformat(moment))), most))


def local(*args: Any, **said: Any) -> list[str]:
    return [tick.local for tick in after(*args, **said)]


# --------------------------------------------------------------------------- times that do not exist


def test_a_time_that_does_not_exist_is_moved_to_the_next_that_does() -> None:
    moved, then = after(SPRING, 2, cron=("30 2 * * *",))
    assert moved.local == "2026-03-29T03:00:00+02:00"
    assert moved.at_ms == ms_of(datetime.fromisoformat(moved.local))
    assert moved.note == "in place of 2026-03-29 02:30: the clock is put forward past that"
    assert (then.local, then.note) == ("2026-03-30T02:30:00+02:00", "")


def test_or_left_out_and_the_next_tick_says_so() -> None:
    first, then = after(SPRING, 2, cron=("30 2 * * *",), gap="skip")
    assert first.local == "2026-03-30T02:30:00+02:00"
    assert first.note == "before it 2026-03-29 02:30 left out: the clock is put forward past that"
    assert (then.local, then.note) == ("2026-03-31T02:30:00+02:00", "")


def test_several_that_are_left_out_are_counted() -> None:
    (first,) = after(SPRING, 1, cron=("15 */20 2 * * *",), gap="skip")
    assert first.note == "before it 2026-03-29 02:00:15 and 2 more left out: the clock is put forward past that"


def test_several_that_are_moved_are_one_tick() -> None:
    moved, then = after(SPRING, 2, cron=("*/20 2,3 * * *", "0 3 * * *"))
    assert (moved.local, moved.note[:28]) == ("2026-03-29T03:00:00+02:00", "in place of 2026-03-29 02:00")
    assert (then.local, then.note) == ("2026-03-29T03:20:00+02:00", "")


def test_a_whole_day_that_does_not_exist() -> None:
    moved, then = after("2011-12-29T12:00:00-10:00", 2, cron=("0 9 30,31 * *",), timezone="Pacific/Apia")
    assert (moved.local, moved.note[:28]) == ("2011-12-31T00:00:00+14:00", "in place of 2011-12-30 09:00")
    assert then.local == "2011-12-31T09:00:00+14:00"


# --------------------------------------------------------------------------- times that come twice


@pytest.mark.parametrize(
    ("fold", "expected"),
    [
        ("first", [("2026-10-25T02:30:00+02:00", "first")]),
        ("last", [("2026-10-25T02:30:00+01:00", "last")]),
        ("both", [("2026-10-25T02:30:00+02:00", "first"), ("2026-10-25T02:30:00+01:00", "last")]),
    ],
)
def test_a_time_that_comes_twice(fold: str, expected: list[tuple[str, str]]) -> None:
    found = after(AUTUMN, len(expected) + 1, cron=("30 2 * * *",), fold=fold)
    said = "2026-10-25 02:30 comes twice, as the clock is put back: this is the "
    assert [(tick.local, tick.note) for tick in found[:-1]] == [(local, said + way) for local, way in expected]
    assert (found[-1].local, found[-1].note) == ("2026-10-26T02:30:00+01:00", "")


def test_a_time_that_is_to_come_again_has_not_passed() -> None:
    said = {"cron": ("10 2 * * *",), "fold": "last"}
    assert local("2026-10-25T02:50:00+02:00", 1, **said) == ["2026-10-25T02:10:00+01:00"]


# --------------------------------------------------------------------------- real time


@pytest.mark.parametrize("said", [{"cron": ("30 * * * *",)}, {"cron": ("0 0-23 * * *",)}, {"every_seconds": 3600}])
@pytest.mark.parametrize("moment", [SPRING, AUTUMN])
def test_each_hour_is_each_real_hour(said: dict[str, Any], moment: str) -> None:
    found = after(moment, 30, gap="run", fold="first", **said)
    assert {then.at_ms - tick.at_ms for tick, then in pairwise(found)} == {3_600_000}
    assert {tick.note for tick in found} == {""}


@pytest.mark.parametrize("moment", [SPRING, AUTUMN])
def test_each_minute_is_each_real_minute(moment: str) -> None:
    found = after(moment, 1_500, cron=("* * * * *",))
    assert {then.at_ms - tick.at_ms for tick, then in pairwise(found)} == {60_000}


def test_a_line_for_every_hour_fires_whenever_the_clock_shows_its_time() -> None:
    """This one is put back from 02:00 to 01:30."""
    assert local("2026-04-05T00:50:00+11:00", 3, cron=("45 * * * *",), timezone="Australia/Lord_Howe") == [
        "2026-04-05T01:45:00+11:00",
        "2026-04-05T01:45:00+10:30",
        "2026-04-05T02:45:00+10:30",
    ]


# --------------------------------------------------------------------------- from start to end


def test_the_start_counts_and_the_end_does_not() -> None:
    noon = datetime(2026, 12, 1, 12, tzinfo=UTC)
    said: dict[str, Any] = {"cron": ("0 12 * * *",), "timezone": "UTC", "start": noon, "end": noon + timedelta(days=2)}
    assert local("2026-01-01T00:00:00Z", 9, **said) == ["2026-12-01T12:00:00+00:00", "2026-12-02T12:00:00+00:00"]
    assert local("2026-12-03T12:00:00Z", 9, **said) == []


def test_a_tick_is_later_than_what_was_asked_for() -> None:
    assert local("2026-12-01T09:00:00+01:00", 1, cron=("0 9 * * *",)) == ["2026-12-02T09:00:00+01:00"]
    assert local("2026-12-01T08:59:59.999+01:00", 1, cron=("0 9 * * *",)) == ["2026-12-01T09:00:00+01:00"]


def test_seconds_are_counted_from_the_start() -> None:
    start = datetime(2026, 12, 1, 12, 0, 7, 1, tzinfo=UTC)
    found = after("2026-01-01T00:00:00Z", 3, every_seconds=1.5, start=start)
    assert [tick.at_ms - ms_of(start) for tick in found] == [1, 1501, 3001]
    assert after("2026-12-01T12:00:10Z", 1, every_seconds=1.5, start=start)[0].at_ms - ms_of(start) == 3001


def test_or_from_1970() -> None:
    assert local("2026-12-01T12:00:00Z", 1, every_seconds=7 * 86_400) == ["2026-12-03T01:00:00+01:00"]


def test_lines_are_merged() -> None:
    assert local("2026-12-01T00:00:00Z", 3, cron=("0 9,10 * * *", "0 8,9 * * *"), timezone="UTC") == [
        "2026-12-01T08:00:00+00:00",
        "2026-12-01T09:00:00+00:00",
        "2026-12-01T10:00:00+00:00",
    ]


@pytest.mark.parametrize("line", ["0 0 29 2 *", "59 59 23 31 12 *", "0 0 */28 2 MON"])
def test_no_tick_comes_after_the_year_9998(line: str) -> None:
    assert len(after("9980-01-01T00:00:00Z", 100, cron=(line,))) < 40


def test_a_line_that_never_fires_has_no_tick() -> None:
    assert after(SPRING, 1, cron=("0 0 */29 2 MON#5",)) == []


def test_no_second_either() -> None:
    assert local("9998-12-31T23:59:58Z", 9, every_seconds=1, timezone="UTC") == ["9998-12-31T23:59:59+00:00"]


# --------------------------------------------------------------------------- exclusions


def test_dates_and_times_are_left_out() -> None:
    said = {"cron": ("0 9,18 * * *",), "exclude": ("2026-12-25", "* 18 24 12 *", "0 0 9 26 12 *")}
    assert local("2026-12-24T00:00:00+01:00", 3, **said) == [
        "2026-12-24T09:00:00+01:00",
        "2026-12-26T18:00:00+01:00",
        "2026-12-27T09:00:00+01:00",
    ]


def test_five_fields_leave_out_the_whole_minute() -> None:
    said = {"cron": ("*/20 * * * * *",), "exclude": ("1-59 * * * *",)}
    assert local("2026-12-01T00:00:30+01:00", 2, **said) == ["2026-12-01T00:00:40+01:00", "2026-12-01T01:00:00+01:00"]


def test_what_is_moved_is_left_out_by_the_time_it_had() -> None:
    assert local(SPRING, 1, cron=("30 2 * * *",), exclude=("* 2 29 3 *",)) == ["2026-03-30T02:30:00+02:00"]
    assert local(SPRING, 1, cron=("30 2 * * *",), exclude=("* 3 29 3 *",)) == ["2026-03-29T03:00:00+02:00"]


@pytest.mark.parametrize("exclude", [("* * * 1-11 *",), ("* 0-11 * 1-3 *", "* 12-23 * 1-3 *", "* * * 4-11 *")])
@pytest.mark.parametrize("said", [{"cron": ("* * * * * *",)}, {"every_seconds": 1.25}])
def test_all_but_december(said: dict[str, Any], exclude: tuple[str, ...]) -> None:
    """Looked through by days and hours, not by seconds."""
    assert local("2027-01-01T00:00:00+01:00", 1, exclude=exclude, **said) == ["2027-12-01T00:00:00+01:00"]


def test_an_hour_that_is_left_out_ends_within_a_gap() -> None:
    """The clock was put forward from 00:01 to 01:01."""
    said = {"every_seconds": 900, "timezone": "America/St_Johns", "exclude": ("* 0 * * *",)}
    assert local("2010-03-13T23:50:00-03:30", 2, **said) == ["2010-03-14T01:15:00-02:30", "2010-03-14T01:30:00-02:30"]


def test_a_day_that_is_left_out_comes_again() -> None:
    """The clock was put back from 00:01 to 23:01 of the day before."""
    said = {"every_seconds": 60, "timezone": "America/St_Johns", "exclude": ("2010-11-06",)}
    assert local("2010-11-06T12:00:00-02:30", 2, **said) == ["2010-11-07T00:00:00-02:30", "2010-11-07T00:00:00-03:30"]


def test_too_much_in_a_row_that_is_left_out_is_no_end() -> None:
    with pytest.raises(InvalidJob, match=r"exclude: nothing is left of '\* \* \* \* \*' from 2026-12-01 to 2026-12-04"):
        after("2026-12-01T00:00:00Z", 1, cron=("* * * * *",), exclude=("*/2 * * * *", "1-59/2 * * * *"))


# --------------------------------------------------------------------------- jitter


def test_the_jitter_of_a_tick_is_always_the_same() -> None:
    """In every process, and of every version."""
    assert [fire_ms(f"report{number}", 0, 10) for number in range(3)] == [3789, 9, 8189]


def test_jitter_spreads_ticks_over_its_time_and_makes_none_early() -> None:
    late = [fire_ms("report", 60_000 * number, 10) - 60_000 * number for number in range(1_000)]
    assert {ms // 1_000 for ms in late} == set(range(10))


def test_without_jitter_a_tick_fires_at_its_time() -> None:
    assert fire_ms("report", 1234, 0) == 1234
