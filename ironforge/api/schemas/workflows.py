"""The types of the calls about workflows."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from ironforge.api.schemas.jobs import DEFAULT_PAGE, Cursor, JobId, JobTickAnswer, Time, UnknownKinds, page_size
from ironforge.job.checks import NAME_PATTERN
from ironforge.workflows.definition import Workflow
from ironforge.workflows.states import NodeState, WorkflowStatus

Reason = Annotated[str | None, Meta(description="why it failed or was cancelled")]
FromSchedule = Annotated[JobTickAnswer | None, Meta(description="that it is from; null: from none")]
By = Annotated[str, Meta(description="who submitted it; empty: not known")]

# --------------------------------------------------------------------------- requests


class WorkflowsQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which workflows to list."""

    status: WorkflowStatus | msgspec.UnsetType = msgspec.UNSET
    name: Annotated[str | None, Meta(extra_json_schema={"pattern": NAME_PATTERN})] = None
    limit: Annotated[int, page_size("workflows")] = DEFAULT_PAGE
    cursor: Cursor = None


class WorkflowQuery(msgspec.Struct, forbid_unknown_fields=True):
    """What to show of a workflow."""

    results: Annotated[bool, Meta(description="also results of more than 64 KiB, 64 MiB of them at most")] = False


class ForkRequest(msgspec.Struct, forbid_unknown_fields=True):
    """From where another one goes on; the body may be left out."""

    node: Annotated[
        str | None,
        Meta(description="id of the node that runs again, with all that waits for it; default: what a retry would run"),
    ] = None
    payload: Annotated[
        msgspec.Raw | msgspec.UnsetType, Meta(description="of that node, instead of the one that it had")
    ] = msgspec.UNSET


# --------------------------------------------------------------------------- answers


class AcceptedWorkflow(msgspec.Struct):
    """A workflow that is kept from now on. `nodes`: how many it has."""

    id: JobId
    name: str
    status: WorkflowStatus
    nodes: int
    unknown_kinds: UnknownKinds = msgspec.UNSET


class WorkflowState(msgspec.Struct):
    """How a workflow stands after what was done to it."""

    id: JobId
    status: WorkflowStatus


class WorkflowSummary(msgspec.Struct):
    """A workflow without its nodes. `left`: how many of the `nodes` have not ended."""

    id: JobId
    name: str
    status: WorkflowStatus
    created_at: Time
    ended_at: Time | None
    reason: Reason
    by: By
    nodes: int
    left: int
    schedule: FromSchedule


class WorkflowPage(msgspec.Struct):
    """The newest first. A page may be short, even empty, before the end: `next` null is the end."""

    workflows: list[WorkflowSummary]
    next: Annotated[str | None, Meta(description="`cursor` of the next page")]


class CompensationAnswer(msgspec.Struct):
    """How far the undoing of a node is: `pending` while others come first, `skipped` where one of these could not be
    undone."""

    status: NodeState
    job_id: Annotated[JobId | None, Meta(description="of the job that undoes it; null: it is yet to be submitted")]
    reason: Annotated[str | None, Meta(description="why it could not be undone")]


class ItemsAnswer(msgspec.Struct):
    """Of the items of a map, how many there are, have ended, and have failed."""

    total: int
    ended: int
    failed: Annotated[int | None, Meta(description="null: too many have ended to tell")]


class WorkflowNodeAnswer(msgspec.Struct):
    """A node as it stands. `layer` and `row`: its place in a picture. What waits for others has a later layer, and
    row 0 is the middle of each layer, whose nodes are 1 apart."""

    id: str
    kind: str
    status: NodeState
    job_id: Annotated[JobId | None, Meta(description="null: it has no job yet, or never had")]
    result: Annotated[msgspec.Raw, Meta(description="what its job returned; null too where it is truncated")]
    truncated: Annotated[
        bool,
        Meta(
            description="the result has more than 64 KiB, or all have too much: ask with `results=true`, or for the job"
        ),
    ]
    reason: Annotated[str | None, Meta(description="why it failed, was cancelled or skipped")]
    started_at: Time | None
    ended_at: Time | None
    layer: int
    row: float
    items: Annotated[ItemsAnswer | None, Meta(description="of a map that runs")]
    compensation: Annotated[
        CompensationAnswer | None,
        Meta(description="of a node with `compensate` that succeeded, where the workflow has failed or is cancelled"),
    ]


class WorkflowAnswer(msgspec.Struct):
    """A workflow as it stands, with its nodes in the order of the document."""

    id: JobId
    name: str
    status: WorkflowStatus
    created_at: Time
    ended_at: Time | None
    reason: Reason
    by: By
    schedule: FromSchedule
    retries: Annotated[int, Meta(description="how often it was retried")]
    nodes: list[WorkflowNodeAnswer]
    workflow: Annotated[Workflow, Meta(description="the document, as it was submitted")]
