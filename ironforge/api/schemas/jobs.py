"""The types of the HTTP contract: what a request may hold, what an answer holds.

The OpenAPI document is generated from these types, and requests are decoded into them. What `extra_json_schema` says is
only *described* by it: `JobOptions.checked` enforces it, so that every door refuses with the same codes.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ironforge.job.checks import MAX_NOTE_CHARACTERS, NAME_PATTERN
from ironforge.job.options import RECORDED
from ironforge.job.record import JobState, PriorityLabel
from ironforge.job.request import JobRequest
from ironforge.store.waiting import WaitingCode

MAX_BATCH = 10_000
MAX_PAGE = 500
DEFAULT_PAGE = 50

ID_PATTERN = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$"
ID_EXAMPLE = "0199a2b4-7c1e-7d3a-9f00-5b1c2d3e4f50"

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"}, examples=["2030-01-31T12:00:00.000Z"])]
JobId = Annotated[str, Meta(extra_json_schema={"pattern": ID_PATTERN, "format": "uuid"}, examples=[ID_EXAMPLE])]


def _range(low: float, high: float) -> dict[str, Any]:
    return {"minimum": low, "maximum": high}


def page_size(what: str) -> Meta:
    """Of the field `limit` of a query for a page."""
    return Meta(description=f"{what} on one page", extra_json_schema=_range(1, MAX_PAGE))


Note = Annotated[str, Meta(extra_json_schema={"maxLength": MAX_NOTE_CHARACTERS}, description="why")]
Cursor = Annotated[str | None, Meta(description="`next` of the page before")]

# --------------------------------------------------------------------------- requests


class BatchRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The array of jobs inside an object, for callers that cannot send an array."""

    jobs: Annotated[list[JobRequest], Meta(extra_json_schema={"minItems": 1, "maxItems": MAX_BATCH})]


class RetryRequest(msgspec.Struct, forbid_unknown_fields=True):
    """How a dead job comes back; the body may be left out."""

    reset_retry_count: Annotated[
        bool, Meta(description="true, the default: all its retries again; false: one more attempt")
    ] = True


class DeadQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which dead letters to list."""

    kind: Annotated[str | None, Meta(extra_json_schema={"pattern": NAME_PATTERN})] = None
    queue: Annotated[str | None, Meta(extra_json_schema={"pattern": NAME_PATTERN})] = None
    limit: Annotated[int, page_size("jobs")] = DEFAULT_PAGE
    cursor: Cursor = None


class JobsQuery(DeadQuery, forbid_unknown_fields=True):
    """Which jobs to list."""

    state: JobState | msgspec.UnsetType = msgspec.UNSET  # not None: the text `null` would be one


class JobQuery(msgspec.Struct, forbid_unknown_fields=True):
    """What to show of a job."""

    steps: Annotated[bool, Meta(description="also what its runs have recorded")] = False


class NoQuery(msgspec.Struct, forbid_unknown_fields=True):
    """A call without query parameters."""


# --------------------------------------------------------------------------- answers


UnknownKinds = Annotated[
    list[str] | msgspec.UnsetType,
    Meta(description="no node has announced these: their jobs go without what their kind fixes; else left out"),
]


class AcceptedJob(msgspec.Struct):
    """A job that is kept from now on."""

    id: JobId
    status: JobState
    kind: str
    queue: str
    priority: PriorityLabel
    deduplicated: Annotated[bool, Meta(description="it was there already, and holds the unique key")]
    unknown_kinds: UnknownKinds = msgspec.UNSET


class AcceptedBatch(msgspec.Struct):
    """`ids` are in the order of the submission."""

    ids: list[JobId]
    count: int
    deduplicated: Annotated[list[int], Meta(description="indexes of those whose unique key another job holds")]
    unknown_kinds: UnknownKinds = msgspec.UNSET


class FailedAttempt(msgspec.Struct):
    """One attempt that failed. `attempt` counts from 1, anew after a revival that reset the retries."""

    attempt: int
    at: Time
    type: str
    message: str
    node: str
    trace: str
    revival: Annotated[int, Meta(description="how often the job had come back from the dead letter by then")]


class _NamedJob(msgspec.Struct):
    id: JobId
    kind: str


# Static types know nothing of the options here: each is what `JobOptions` says, as it holds for the job.
_WithOptions: Any = msgspec.defstruct(
    "_WithOptions",
    [(option.name, option.type if option.default is not None else option.type | None) for option in RECORDED],
    bases=(_NamedJob,),
)


class WaitingFor(msgspec.Struct):
    """What has to come before a waiting job goes on, or to change before a queued one runs, where that is more than its
    turn."""

    code: WaitingCode
    detail: str
    until: Annotated[Time | None, Meta(description="when it ends by itself; null: that is not known, or never")]
    step: Annotated[str | None, Meta(description="of a waiting job: its step, with a key behind a slash")]
    event: Annotated[str | None, Meta(description="of a waiting job: the event that it waits for")]


class StepAnswer(msgspec.Struct):
    """What a run of a job has recorded: the result of a step, or that it waited for something."""

    name: str
    key: str | None
    kind: Literal["step", "wait"]
    result: Annotated[msgspec.Raw, Meta(description="what later runs get for it; of a wait what it waited for")]
    timed_out: Annotated[bool, Meta(description="a wait that ended because its time was over")]
    started_at: Time
    ended_at: Annotated[Time | None, Meta(description="null: it still waits")]
    until: Annotated[Time | None, Meta(description="when a wait that goes on ends by itself; null: it does not")]
    run: Annotated[int, Meta(description="`fence` of the run that recorded it")]


class ParentAnswer(msgspec.Struct):
    """The job that waits for this one: with which of its steps, and at which place there, from 0."""

    id: JobId
    step: str
    index: int


class JobWorkflowAnswer(msgspec.Struct):
    """The workflow of which the job is a node, and the id of that."""

    id: JobId
    node: str


class JobTickAnswer(msgspec.Struct):
    """Which tick of which schedule; of a job that was triggered: when that was asked for."""

    name: str
    tick_at: Time


class JobAnswer(_WithOptions):  # type: ignore[misc] # made at run time
    """A job as it stands. `attempts` counts failed attempts so far; null options mean "as the kind says"."""

    status: JobState
    waiting_for: Annotated[
        WaitingFor | None, Meta(description="of a waiting or queued job; null: a queued one has its turn soon")
    ]
    payload: msgspec.Raw
    attempts: int
    revivals: Annotated[int, Meta(description="how often it came back from the dead letter")]
    crashes: Annotated[int, Meta(description="nodes that died while they held it, as far as they count")]
    alone: Annotated[bool, Meta(description="it waits to run, or runs, with nothing else on its node")]
    fence: Annotated[int, Meta(description="rises with every new run")]
    created_at: Time
    run_at: Annotated[Time | None, Meta(description="when a scheduled job is due")]
    expires_at: Annotated[
        Time | None, Meta(description="cancelled if it has not started by then; null: never, or no longer")
    ]
    started_at: Time | None
    finished_at: Time | None
    node: Annotated[str | None, Meta(description="where it is running")]
    result: Annotated[msgspec.Raw, Meta(description="what the handler returned")]
    reason: Annotated[str | None, Meta(description="why it is dead or cancelled")]
    cancel_requested: bool
    app_version: Annotated[
        str | None,
        Meta(description="version of the application that it stays with since its first run; null: any may run it"),
    ]
    schedule: Annotated[JobTickAnswer | None, Meta(description="that it is from; null: from none")]
    parent: Annotated[ParentAnswer | None, Meta(description="null: it is no child of another job")]
    workflow: Annotated[JobWorkflowAnswer | None, Meta(description="null: it is no node of one")]
    steps: Annotated[list[StepAnswer] | None, Meta(description="null: not asked for")]
    errors: list[FailedAttempt]


class JobPage(msgspec.Struct):
    """A page may be short, even empty, before the end: `next` null is the end."""

    jobs: list[JobAnswer]
    next: Annotated[str | None, Meta(description="`cursor` of the next page")]


class QueueAnswer(msgspec.Struct):
    """Whether nodes leave a queue alone."""

    queue: str
    paused: bool
