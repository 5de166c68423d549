"""What an answer looks like that is an error: RFC 9457, with members of ours for programs."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from ironforge.codes import Code
from ironforge.job.record import JobState
from ironforge.workflows.states import WorkflowStatus


class Problem(msgspec.Struct, omit_defaults=True):
    """RFC 9457: every error of this API. `code` is stable, `detail` is for people."""

    type: Annotated[str, Meta(examples=["urn:ironforge:problem:job_not_found"])]
    title: str
    status: int
    detail: str
    code: Annotated[Code, Meta(examples=["job_not_found"])]
    request_id: str
    field: Annotated[str | None, Meta(description="path to the culprit")] = None
    index: Annotated[int | None, Meta(description="place of the bad job in a batch, from 0")] = None
    hint: str | None = None
    job_id: Annotated[str | None, Meta(description="the job that the idempotency key or submission belongs to")] = None
    workflow_id: Annotated[str | None, Meta(description="the workflow that the idempotency key belongs to")] = None
    job_ids: Annotated[list[str] | None, Meta(description="the jobs of a batch that is not confirmed yet")] = None
    queue: Annotated[str | None, Meta(description="the queue that is full")] = None
    length: Annotated[int | None, Meta(description="jobs that are in the queue")] = None
    limit: Annotated[float | None, Meta(description="jobs that may be in the queue, or what the quota allows")] = None
    state: Annotated[JobState | None, Meta(description="state that the job is in")] = None
    workflow_status: Annotated[WorkflowStatus | None, Meta(description="how the workflow stands")] = None
    quota: Annotated[str | None, Meta(description="the limit that was reached", examples=["key.stored_jobs"])] = None
    retry_seconds: Annotated[float | None, Meta(description="after this another try may succeed")] = None
    current: Annotated[float | None, Meta(description="where that limit's count stands")] = None
