"""What a schedule says: when it fires, the job that it submits then, and what holds where the two get in each other's
way. As JSON it is the body of `PUT /schedules/{name}`, and what is stored.

New fields go to the end with a default, so that definitions of older versions can be read.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final, Literal, cast

import msgspec
from msgspec import Meta

from ironforge.codes import Code
from ironforge.errors import InvalidJob
from ironforge.job import checks
from ironforge.job.options import MAX_RETAIN_SECONDS
from ironforge.job.request import JobRequest
from ironforge.schedules.cron import check_line
from ironforge.schedules.errors import wrong
from ironforge.schedules.exclusions import check_excluded
from ironforge.schedules.zones import zone

MAX_LINES: Final = 16
MAX_EXCLUDED: Final = 400
# No line fires more often.
MIN_EVERY_SECONDS: Final = 1.0
MAX_EVERY_SECONDS: Final = checks.YEAR_SECONDS
MAX_JITTER_SECONDS: Final = 86_400.0
# Beyond it, an ended job can no longer be told from one that was never submitted.
MAX_WINDOW_SECONDS: Final = MAX_RETAIN_SECONDS
MAX_CAUGHT_UP: Final = 1_000

Overlap = Literal["skip", "queue_one", "queue_all", "cancel_running", "allow"]
Late = Literal["latest", "all", "none"]
Gap = Literal["run", "skip"]
Fold = Literal["first", "last", "both"]


def _bounds(description: str, low: float, high: float) -> Meta:
    return Meta(description=description, extra_json_schema={"minimum": low, "maximum": high})


def _most(description: str, most: int) -> Meta:
    return Meta(description=description, extra_json_schema={"maxItems": most})


class CatchUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What becomes of ticks that are late, since nothing could fire them in time."""

    policy: Annotated[Late, Meta(description="the last of them starts, all, or none")] = "latest"
    window_seconds: Annotated[float, _bounds("those that are later than this are skipped", 0, MAX_WINDOW_SECONDS)] = (
        3600.0
    )
    most: Annotated[int, _bounds("of all, how many start; the oldest first", 1, MAX_CAUGHT_UP)] = 100


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """`job` is submitted at each tick: at each time that a line of `cron` names, or every so many seconds.

    Lines are read by the clock on the wall of `timezone`. Where that is put forward or back, `gap` and `fold` say what
    becomes of times that do not exist or come twice; a line for every hour of the day, and `every_seconds`, go by real
    time, and do not ask. Times that several lines name are one tick.
    """

    job: Annotated[JobRequest, Meta(description="as for `POST /jobs`, without `run_at`")]
    cron: Annotated[
        tuple[str, ...],
        _most("minute, hour, day of month, month and day of week; six fields begin with the second", MAX_LINES),
    ] = ()
    every_seconds: Annotated[
        float | None,
        _bounds(
            "instead of cron: real time, counted from start, else from 1970-01-01T00:00:00Z",
            MIN_EVERY_SECONDS,
            MAX_EVERY_SECONDS,
        ),
    ] = None
    timezone: Annotated[str, Meta(description="IANA name", examples=["Europe/Berlin"])] = "UTC"
    start: Annotated[datetime | None, Meta(description="no tick before it; one at this very time counts")] = None
    end: Annotated[datetime | None, Meta(description="no tick from it on")] = None
    exclude: Annotated[
        tuple[str, ...],
        _most(
            "no tick at these: dates such as 2026-12-25, and cron lines; of five fields: whole minutes", MAX_EXCLUDED
        ),
    ] = ()
    jitter_seconds: Annotated[
        float, _bounds("each tick fires up to this much later, always the same for one tick", 0, MAX_JITTER_SECONDS)
    ] = 0.0
    overlap: Annotated[Overlap, Meta(description="while the job of the last tick has not ended")] = "skip"
    catch_up: CatchUp = CatchUp()
    gap: Annotated[Gap, Meta(description="a time that does not exist: at the next moment that does, or not at all")] = (
        "run"
    )
    fold: Annotated[Fold, Meta(description="a time that comes twice: the first, the last, or both")] = "first"


def check_schedule(schedule: Schedule) -> Schedule:
    """One of the right types, as msgspec decodes it, whose values are right too: so it fires, and its job can be
    submitted, as far as that can be told without its kind. The answer does not depend on the time. Raises InvalidJob
    with `code`, `field` and `hint`."""
    if bool(schedule.cron) == (schedule.every_seconds is not None):
        which = "both cron and every_seconds" if schedule.cron else "neither cron nor every_seconds"
        raise wrong("cron", f"the schedule has {which}", "give one of them")
    if schedule.every_seconds is not None:
        checks.check_duration("every_seconds", schedule.every_seconds, MIN_EVERY_SECONDS, MAX_EVERY_SECONDS)
    _check_lines("cron", schedule.cron, MAX_LINES, check_line)
    _check_lines("exclude", schedule.exclude, MAX_EXCLUDED, check_excluded)
    zone(schedule.timezone)
    checks.check_duration("jitter_seconds", schedule.jitter_seconds, 0, MAX_JITTER_SECONDS)
    checks.check_duration("catch_up.window_seconds", schedule.catch_up.window_seconds, 0, MAX_WINDOW_SECONDS)
    checks.check_whole("catch_up.most", schedule.catch_up.most, 1, MAX_CAUGHT_UP)
    _check_bounds(schedule)
    _check_job(schedule.job)
    return schedule


def _check_lines(field: str, lines: tuple[str, ...], most: int, check: Callable[[str, str], None]) -> None:
    if len(lines) > most:
        raise wrong(field, f"there are {len(lines)}", f"give at most {most}")
    for place, line in enumerate(lines):
        check(f"{field}[{place}]", line)


def _check_bounds(schedule: Schedule) -> None:
    for field in ("start", "end"):
        moment: datetime | None = getattr(schedule, field)
        if moment is not None and moment.utcoffset() is None:
            hint = "append Z for UTC, or an offset such as +02:00"
            message = f"{field} {moment.isoformat()} has no time zone: {hint}"
            raise InvalidJob(message, code="timezone_required", field=field, hint=hint)
    if schedule.start is not None and schedule.end is not None and schedule.end <= schedule.start:
        why = f"{schedule.end.isoformat()} is not after start, {schedule.start.isoformat()}"
        raise wrong("end", why, "give a later end, or none")


def _check_job(job: JobRequest) -> None:
    if job.run_at is not None:
        raise wrong("job.run_at", f"{job.run_at!r:.60} is given", "leave it out: the schedule says when its jobs start")
    try:
        job.checked().job(checks.check_kind(job.kind), checks.check_payload_size(bytes(job.payload)))
    except InvalidJob as error:
        code, field = cast("Code", error.code), f"job.{error.field}" if error.field else "job"
        raise InvalidJob(f"job: {error}", code=code, field=field, hint=error.hint) from None
