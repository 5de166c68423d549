"""The types of the calls about schedules."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ironforge.api.schemas.jobs import DEFAULT_PAGE, Cursor, JobId, Note, Time, page_size
from ironforge.schedules.definition import Schedule
from ironforge.schedules.reasons import OUT_OF_TURN, SKIPPED
from ironforge.store.schedules.contract import MAX_BACKFILL, Outcome

MAX_NEXT = 1_000
MAX_PER_SECOND = 1_000.0
MIN_PER_SECOND = 0.001

Local = Annotated[str, Meta(description="the same by the clock of its time zone")]
Source = Annotated[str, Meta(description="what owns it, and alone may change it; empty: it was put by hand")]

# --------------------------------------------------------------------------- requests


class SchedulesQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which page of the schedules."""

    source: Annotated[
        str | msgspec.UnsetType, Meta(description="of this source alone; empty: those that were put by hand")
    ] = msgspec.UNSET
    limit: Annotated[int, page_size("schedules")] = DEFAULT_PAGE
    cursor: Cursor = None


class SourceQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Who defines it."""

    source: Source = ""


class ApplyQuery(SourceQuery, forbid_unknown_fields=True):
    """Whose schedules they are."""

    dry_run: Annotated[bool, Meta(description="only says what would change")] = False


class ApplyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """All that the source has, by name."""

    schedules: dict[str, Schedule]


class ApplyParts(msgspec.Struct, forbid_unknown_fields=True):
    """`ApplyRequest` before each of them is looked at: what is wrong with one is said by its name."""

    schedules: dict[str, msgspec.Raw]


class NextQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which of its ticks to tell."""

    n: Annotated[int, Meta(description="how many", extra_json_schema={"minimum": 1, "maximum": MAX_NEXT})] = 10
    after: Annotated[
        str | None, Meta(description="those later than this; default: now", extra_json_schema={"format": "date-time"})
    ] = None


class HistoryQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which page of its history."""

    limit: Annotated[int, page_size("rows")] = DEFAULT_PAGE
    cursor: Cursor = None


class PauseRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Why, and for how long; the body may be left out."""

    note: Note = ""
    until: Annotated[
        str | None, Meta(extra_json_schema={"format": "date-time"}, description="default: until it is resumed")
    ] = None


class BackfillRequest(msgspec.Struct, forbid_unknown_fields=True):
    """For which of its ticks a job or a workflow starts, and how many of them in a second."""

    start: Annotated[str, Meta(extra_json_schema={"format": "date-time"}, description="one at this time counts")] = (
        msgspec.field(name="from")
    )
    end: Annotated[
        str,
        Meta(
            extra_json_schema={"format": "date-time"},
            description=f"one at this time does not count; there are at most {MAX_BACKFILL}",
        ),
    ] = msgspec.field(name="to")
    per_second: Annotated[float, Meta(extra_json_schema={"minimum": MIN_PER_SECOND, "maximum": MAX_PER_SECOND})] = 1.0
    dry_run: Annotated[bool, Meta(description="only says which those are")] = False


# --------------------------------------------------------------------------- answers


class PauseAnswer(msgspec.Struct):
    """Its ticks are skipped. `by`: who asked for it."""

    note: str
    by: str
    since: Time
    until: Annotated[Time | None, Meta(description="null: until it is resumed")]


class WarningAnswer(msgspec.Struct):
    """What may not be as it was meant."""

    code: Literal["kind_not_served", "window_beyond_retention", "late_ticks_overlap", "ended", "defined_in_code"]
    field: Annotated[str, Meta(description="path to the culprit within the schedule")]
    detail: str


class ScheduleAnswer(msgspec.Struct):
    """A schedule as it stands. One that cannot be read here has a `problem`, does not tick, and may be put anew."""

    name: str
    schedule: Schedule | None
    words: Annotated[str, Meta(examples=["at 08:00 and 09:00 on weekdays, Europe/Berlin"])]
    source: Source
    by: Annotated[str, Meta(description="who defined it; empty: not known")]
    created_at: Time | None
    updated_at: Time | None
    paused: PauseAnswer | None
    next_at: Annotated[Time | None, Meta(description="time of its next tick; null: there is none")]
    last_job_id: Annotated[JobId | None, Meta(description="the job that it started last")]
    last_workflow_id: Annotated[JobId | None, Meta(description="or the workflow")]
    problem: str | None
    etag: Annotated[str, Meta(description="changes with what it says; as in the header `ETag`")]
    warnings: list[WarningAnswer]


class AppliedAnswer(msgspec.Struct):
    """Names, sorted; `changed` and `created` are as they were said, and those `deleted` were not."""

    created: list[str]
    changed: list[str]
    unchanged: list[str]
    deleted: list[str]
    warnings: Annotated[list[WarningAnswer], Meta(description="`field` begins with `schedules.<name>`")]


class SchedulePage(msgspec.Struct):
    """In the order of their names. A page may be short, even empty, before the end: `next` null is the end."""

    schedules: list[ScheduleAnswer]
    next: Annotated[str | None, Meta(description="`cursor` of the next page")]


class DeletedSchedule(msgspec.Struct):
    """What it started goes on."""

    name: str
    deleted: bool
    warnings: list[WarningAnswer]


class TickAnswer(msgspec.Struct):
    """A tick to come."""

    at: Time
    local: Local
    note: Annotated[
        str,
        Meta(
            description="what a change of that clock does to it, or to those before it, and whether a pause skips it; "
            "or empty"
        ),
    ]


class NextAnswer(msgspec.Struct):
    """The earliest first. There are fewer where it ends, or where it took too long to find them."""

    next: list[TickAnswer]
    truncated: Annotated[
        bool, Meta(description="it took too long to find more: ask for those after the time of the last one")
    ] = False


class PastTickAnswer(msgspec.Struct):
    """What became of a tick, or of `count` of them from `at` until `until`: skipped for one reason, or a backfill."""

    at: Time
    outcome: Outcome
    reason: Annotated[
        str,
        Meta(
            description=f"of a start: empty, {' or '.join(OUT_OF_TURN)}; of a skip: {', '.join(SKIPPED)}, or the code "
            "of what refused its job or workflow"
        ),
    ]
    late_seconds: Annotated[float, Meta(description="after the time at which it was to fire")]
    job_id: Annotated[JobId | None, Meta(description="the job, of several the last one")]
    workflow_id: Annotated[JobId | None, Meta(description="or the workflow")]
    until: Annotated[Time, Meta(description="time of the last of them")]
    count: int
    local: Annotated[str, Meta(description="`at` by the clock of its time zone")]
    local_until: Annotated[str, Meta(description="`until` by that clock")]


class HistoryAnswer(msgspec.Struct):
    """The latest first."""

    ticks: list[PastTickAnswer]
    next: Annotated[str | None, Meta(description="`cursor` of the next page")]


class TriggerAnswer(msgspec.Struct):
    """`reason` of a skip: overlap, as its last job or workflow has not ended."""

    outcome: Outcome
    reason: str
    job_id: JobId | None
    workflow_id: JobId | None


class BackfilledTick(msgspec.Struct):
    """`job_id` and `workflow_id` are null in a dry run."""

    at: Time
    job_id: JobId | None
    workflow_id: JobId | None
    local: Local


class BackfillAnswer(msgspec.Struct):
    """The earliest first."""

    dry_run: bool
    ticks: list[BackfilledTick]
