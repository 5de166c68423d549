"""Whether a cron line is right. cronsim reads and walks them; of one that is wrong it says in which field at most. Here
stands what is wrong there, and what to write instead."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

from cronsim import CronSim, CronSimError

from ironforge.formats.numbers import counted
from ironforge.schedules.errors import wrong

MAX_LINE_CHARACTERS: Final = 255
# Any time does to see whether a line is right. From this one on all days of the week come on 29 February.
ANY_TIME: Final = datetime(2000, 1, 1)  # noqa: DTZ001 - the clock on a wall


class _Field(NamedTuple):
    """`words`: what may stand there beside numbers, ranges, lists and steps."""

    name: str
    low: int
    high: int
    words: str = ""


FIELDS: Final = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31, "L for the last day, LW for the last weekday"),
    _Field("month", 1, 12, "JAN to DEC"),
    _Field("day of week", 0, 7, "SUN to SAT, MON#2 for the second Monday, 5L for the last Friday"),
)


# What other crons know, and we do not: there is one way to say it.
_NICKNAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def check_line(place: str, line: str) -> None:
    """Raises InvalidJob that names the field of the line, for one that never fires too."""
    if len(line) > MAX_LINE_CHARACTERS:
        raise wrong(place, f"{line[:60]!r} goes on for {len(line)} characters", f"give at most {MAX_LINE_CHARACTERS}")
    if not line.isascii():
        raise wrong(place, f"{line!r} has other characters than ASCII", "write digits, names and signs of ASCII")
    texts = line.split()
    if len(texts) not in (5, 6):
        hint = "give 5 (minute, hour, day of month, month, day of week), or 6 with the second in front"
        if (same := _NICKNAMES.get(line.strip().lower())) is not None:
            hint = f"write {same!r} in place of it"
        raise wrong(place, f"{line!r} has {counted(len(texts), 'field')}", hint)
    for index, text in enumerate(texts, len(FIELDS) - len(texts)):
        if (problem := _problem(index, text.upper())) is not None:
            raise wrong(place, f"{line!r}: {FIELDS[index].name}: {problem[0]}", problem[1])
    if not _fires(line):
        day, month, weekday = texts[-3:]
        why = f"{line!r} never fires: day of month {day} in month {month} with day of week {weekday} does not come"
        raise wrong(place, why, "change one of the three")


def _fires(line: str) -> bool:
    """Within 50 years."""
    try:
        next(CronSim(line, ANY_TIME))
    except (CronSimError, StopIteration):
        return False
    return True


def _problem(index: int, text: str) -> tuple[str, str] | None:
    """What is wrong with this text in this field, and what to do about it."""
    return next(filter(None, (_problem_of_term(index, term) for term in text.split(","))), None)


def _problem_of_term(index: int, term: str) -> tuple[str, str] | None:
    field = FIELDS[index]
    base, slash, step = term.partition("/")
    most = field.high - field.low
    if slash and not (step.isdigit() and 1 <= int(step) <= most):
        return f"{step!r:.60} is no step", f"give one of 1 to {most}"
    ends = base.split("-")
    # cronsim would go on from there to the highest number, as it does without a range.
    if slash and len(ends) == 2 and _is_right(index, base) and _is_right(index, f"{ends[1]}-{ends[0]}"):
        return f"the range {base} has one number and no room for steps", f"give {ends[0]}, or {ends[0]}/{step}"
    if _is_right(index, term):
        return None
    for end in ends:
        if end.isdigit() and not field.low <= int(end) <= field.high:
            return f"{end:.60} is out of range", f"give {field.low} to {field.high}"
    if len(ends) == 2 and _is_right(index, split := f"{ends[0]}-{field.high},{field.low}-{ends[1]}"):
        return f"the range {base} ends before it begins", f"swap its ends, or give two: {split}"
    words = f", {field.words}" if field.words else ""
    hint = f"give *, numbers of {field.low} to {field.high}, ranges a-b, lists a,b, or steps */n{words}"
    return f"{term!r:.60} is not understood", hint


# The same few terms come again and again, and to try one takes 20 us.
@lru_cache(maxsize=4096)
def _is_right(index: int, text: str) -> bool:
    return text != "" and _fires(" ".join("*" if each != index else text for each in range(len(FIELDS))))
