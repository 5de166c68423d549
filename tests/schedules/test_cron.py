"""Lines that are refused, each with its field, what is wrong there and what to write instead."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.errors import InvalidJob
from ironforge.schedules.cron import MAX_LINE_CHARACTERS, check_line


@pytest.mark.parametrize(
    "line",
    [
        "* * * * *",
        "0 9 * * 1-5",
        "*/59 */23 */30 */11 */7",
        "0\t9  * * *",
        "30 0 9 * * mon-fri",
        "0 0 29 2 *",
        "0 0 L,15 jan,JUN *",
        "0 0 LW * *",
        "0 0 * * MON#5,6L",
        "0 0 31 2 MON",  # a Monday in February
        "0 0 */28 2 MON",  # 29 February, where it is a Monday
        " " * (MAX_LINE_CHARACTERS - 9) + "0 0 1 1 *",
    ],
)
def test_lines_that_fire(line: str) -> None:
    check_line("cron[0]", line)


FIELDS_HINT = "give 5 (minute, hour, day of month, month, day of week), or 6 with the second in front"


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("", "'' has 0 fields", FIELDS_HINT),
        ("@daily", "'@daily' has 1 field", "write '0 0 * * *' in place of it"),
        ("@reboot", "'@reboot' has 1 field", FIELDS_HINT),
        ("0 0 9 * * * *", "'0 0 9 * * * *' has 7 fields", FIELDS_HINT),
        ("60 * * * *", "minute: 60 is out of range", "give 0 to 59"),
        ("60 9 * * * *", "second: 60 is out of range", "give 0 to 59"),
        ("0 9,24 * * *", "hour: 24 is out of range", "give 0 to 23"),
        ("0 0 0 * *", "day of month: 0 is out of range", "give 1 to 31"),
        ("0 0 * 1-13 *", "month: 13 is out of range", "give 1 to 12"),
        ("0 0 * * 8", "day of week: 8 is out of range", "give 0 to 7"),
        ("0 0 * * " + "9" * 99, "day of week: " + "9" * 60 + " is out of range", "give 0 to 7"),
        ("0 17-9 * * *", "hour: the range 17-9 ends before it begins", "swap its ends, or give two: 17-23,0-9"),
        ("0 0 * * FRI-SUN", "day of week: the range FRI-SUN ends", "swap its ends, or give two: FRI-7,0-SUN"),
        ("0 0 * nov-feb *", "month: the range NOV-FEB ends", "swap its ends, or give two: NOV-12,1-FEB"),
        ("0 9-09/2 * * *", "hour: the range 9-09 has one number and no room for steps", "give 9, or 9/2"),
        ("0 17-9/2 * * *", "hour: the range 17-9 ends before it begins", "swap its ends, or give two: 17-23,0-9"),
        ("*/0 * * * *", "minute: '0' is no step", "give one of 1 to 59"),
        ("*/90 * * * *", "minute: '90' is no step", "give one of 1 to 59"),
        ("0 */x * * *", "hour: 'X' is no step", "give one of 1 to 23"),
        ("0 9,,10 * * *", "hour: '' is not understood", "give *, numbers of 0 to 23, ranges a-b, lists a,b, or steps"),
        ("0 0 * FOO *", "month: 'FOO' is not understood", "steps */n, JAN to DEC"),
        ("0 0 L-3 * *", "day of month: 'L-3' is not understood", "L for the last day, LW for the last weekday"),
        ("0 0 * * MON#6", "day of week: 'MON#6' is not understood", "MON#2 for the second Monday"),
        ("0 0 * * 5L/2", "day of week: '5L/2' is not understood", "5L for the last Friday"),
        ("0 0 * * ?", "day of week: '?' is not understood", "give *"),
        ("-1 * * * *", "minute: '-1' is not understood", "give *"),
        ("0 0 30 2 *", "never fires: day of month 30 in month 2 with day of week * ", "change one of the three"),
        ("0 0 31 4,6 *", "never fires: day of month 31 in month 4,6", "change one of the three"),
        ("0 0 */29 2 MON#5", "never fires", "change one of the three"),
        ("٣ 9 * * *", "other characters than ASCII", "ASCII"),
        ("0 9 * * fr\u0131", "other characters than ASCII", "ASCII"),
        ("*" * 256, "goes on for 256 characters", "give at most 255"),
    ],
)
def test_lines_that_are_wrong(line: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidJob, match=r"\Acron\[3\]: '.*" + re.escape(message.removeprefix("'"))) as refused:
        check_line("cron[3]", line)
    assert (refused.value.field, refused.value.code) == ("cron[3]", "invalid_schedule")
    assert hint in str(refused.value.hint)


@pytest.mark.parametrize("line", ["0 17-9 * * *", "0 0 * * FRI-SUN", "0 0 * NOV-FEB *", "0 0 25-5 * *"])
def test_what_is_advised_instead_of_a_range_upside_down_is_right(line: str) -> None:
    with pytest.raises(InvalidJob) as refused:
        check_line("cron[0]", line)
    upside_down = next(text for text in line.split() if "-" in text)
    check_line("cron[0]", line.replace(upside_down, str(refused.value.hint).rsplit(" ", 1)[1]))


@given(st.text(st.sampled_from("0123456789*/,-#LWMONJAfri? \t\0\N{ARABIC-INDIC DIGIT THREE}"), max_size=40))
def test_no_text_is_answered_by_another_error(line: str) -> None:
    with contextlib.suppress(InvalidJob):
        check_line("cron[0]", line)
