"""Whether a schedule is right. The bounds stand beside the fields, in `definition`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from ironforge.errors import InvalidJob
from ironforge.job import checks
from ironforge.job.mismatch import within
from ironforge.job.request import JobRequest
from ironforge.schedules.cron import ANY_TIME, check_line
from ironforge.schedules.definition import (
    MAX_CAUGHT_UP,
    MAX_EVERY_SECONDS,
    MAX_EXCLUDED,
    MAX_JITTER_SECONDS,
    MAX_LINES,
    MAX_NODES,
    MAX_PAYLOADS_BYTES,
    MAX_WINDOW_SECONDS,
    MIN_EVERY_SECONDS,
    Schedule,
)
from ironforge.schedules.errors import check_starts_one, wrong
from ironforge.schedules.exclusions import check_excluded
from ironforge.schedules.ticks import FIRST_YEAR, LAST_YEAR, ticks
from ironforge.schedules.zones import zone
from ironforge.workflows.checks import check_workflow
from ironforge.workflows.definition import Workflow


def check_schedule_name(name: str) -> str:
    """Raises InvalidJob."""
    return checks.check_name("name", name, "invalid_schedule")


def check_schedule(schedule: Schedule) -> Schedule:
    """One of the right types, as msgspec decodes it, whose values are right too: so it fires, and its job or
    workflow can be submitted, as far as that can be told without kinds. The answer does not depend on the time. Raises
    InvalidJob with `code`, `field` and `hint`."""
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
    _check_ticks(schedule)
    if schedule.job is not None:
        _check_job(schedule.job)
    if schedule.workflow is not None:
        _check_workflow(schedule, schedule.workflow)
    check_starts_one(schedule.job, schedule.workflow)
    return schedule


def _check_lines(field: str, lines: tuple[str, ...], most: int, check: Callable[[str, str], None]) -> None:
    if len(lines) > most:
        raise wrong(field, f"there are {len(lines)}", f"give at most {most}")
    for place, line in enumerate(lines):
        check(f"{field}[{place}]", line)


def _check_bounds(schedule: Schedule) -> None:
    for field in ("start", "end"):
        moment: datetime | None = getattr(schedule, field)
        if moment is None:
            continue
        if moment.utcoffset() is None:
            hint = "append Z for UTC, or an offset such as +02:00"
            message = f"{field} {moment.isoformat()} has no time zone: {hint}"
            raise InvalidJob(message, code="timezone_required", field=field, hint=hint)
        check_in_range(field, moment)
    if schedule.start is not None and schedule.end is not None and schedule.end <= schedule.start:
        why = f"{schedule.end.isoformat()} is not after start, {schedule.start.isoformat()}"
        raise wrong("end", why, "give a later end, or none")


def check_in_range(field: str, moment: datetime) -> datetime:
    """One around which ticks can be told. Raises InvalidJob."""
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise wrong(field, f"{moment.isoformat()} is out of range", f"give a time from {FIRST_YEAR} to {LAST_YEAR}")
    return moment


def _check_ticks(schedule: Schedule) -> None:
    """Whether it has one, now or at any time."""
    start = schedule.start or ANY_TIME.replace(tzinfo=UTC)
    if next(ticks(schedule, round(start.timestamp() * 1000) - 1), None) is None:
        raise wrong("end", "there is no tick before it", "give a later end, or none")


def _check_job(job: JobRequest) -> None:
    if job.run_at is not None:
        raise wrong("job.run_at", f"{job.run_at!r:.60} is given", "leave it out: the schedule says when its jobs start")
    try:
        job.checked().job(checks.check_kind(job.kind), checks.check_payload_size(bytes(job.payload)))
    except InvalidJob as error:
        raise within("job", error) from None


def _check_workflow(schedule: Schedule, workflow: Workflow) -> None:
    try:
        check_workflow(workflow)
    except InvalidJob as error:
        raise within("workflow", error) from None
    for found, most, what in (
        (len(workflow.nodes), MAX_NODES, "nodes"),
        (schedule.payload_bytes, MAX_PAYLOADS_BYTES, "bytes of payloads"),
    ):
        if found > most:
            hint = f"give at most {most}, or have a job of the schedule submit it"
            raise wrong("workflow.nodes", f"the workflow has {found} {what}", hint)
