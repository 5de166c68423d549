"""The two operations that submit jobs, one or many."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Annotated, Final

from aiohttp import web
from msgspec import UNSET, Meta
from multidict import istr

from ironforge.api.parsing import bodies, requests
from ironforge.api.parsing.batches import read_batch
from ironforge.api.parsing.large_bodies import LARGE_BODIES, to_the_end
from ironforge.api.responses import answer
from ironforge.api.routes import Content, operation
from ironforge.api.schemas import views
from ironforge.api.schemas.jobs import MAX_BATCH, AcceptedBatch, AcceptedJob, BatchRequest
from ironforge.api.scope import OnSubmitted, RequestScope
from ironforge.errors import JobNotFound
from ironforge.job.record import Job, format_id
from ironforge.job.request import JobRequest
from ironforge.store.contract import Accepted, Submission, unknown_kinds

_KEY: Final = istr("Idempotency-Key")
_JOB_EXAMPLES: Final = {
    "small": {"value": {"kind": "email.send", "payload": {"to": "ada@example.com"}}},
    "full": {
        "value": {
            "kind": "report.build",
            "payload": {"month": "2030-01"},
            "priority": "high",
            "queue": "reports",
            "max_retries": 5,
            "timeout_seconds": 120,
            "delay_seconds": 60,
            "retain_seconds": 86400,
        }
    },
}
_JobArray = Annotated[list[JobRequest], Meta(min_length=1, max_length=MAX_BATCH)]
_JobLines = Annotated[str, Meta(description="one JobRequest a line")]


@operation(
    "post",
    "/jobs",
    access="jobs:submit",
    answers={200: AcceptedJob, 201: AcceptedJob},
    refusals=(409, 422, 429),
    body={bodies.JSON: Content(JobRequest, {"examples": _JOB_EXAMPLES})},
    keyed=True,
    describes={
        "headers": {"Location": {"schema": {"type": "string"}, "description": "path of the job"}},
        "links": {
            name: {"operationId": name, "parameters": {"id": "$response.body#/id"}}
            for name in ("getJob", "cancelJob", "retryJob")
        },
    },
)
async def submit_job(request: web.Request, scope: RequestScope) -> web.Response:
    """Submit a job."""
    key = requests.read_key(request.headers.getall(_KEY, ()))
    bodies.media_type(request, bodies.JSON)
    if bodies.is_small(request):
        return await _accept_job(scope, requests.read_job(await bodies.read(request), key, scope.look_up))
    large = request.app[LARGE_BODIES]
    with large.room(request) as room:
        read = partial(requests.read_job, await bodies.read(request, bodies.MAX_BODY_BYTES, room), key, scope.look_up)
        return await _accept_job(scope, await large.in_thread(read))


@operation(
    "post",
    "/jobs/batch",
    access="jobs:submit",
    answers={201: AcceptedBatch},
    refusals=(409, 422, 429),
    body={
        bodies.JSON: Content(
            _JobArray | BatchRequest,
            {"example": [{"kind": "demo.echo", "payload": 1}, {"kind": "demo.echo", "payload": 2}]},
        ),
        bodies.NDJSON: Content(
            _JobLines, {"example": '{"kind":"demo.echo","payload":1}\n{"kind":"demo.echo","payload":2}\n'}
        ),
    },
    keyed=True,
)
async def submit_batch(request: web.Request, scope: RequestScope) -> web.Response:
    """Submit up to 10,000 jobs, all or none."""
    key = requests.read_key(request.headers.getall(_KEY, ()))
    media_type = bodies.media_type(request, bodies.JSON, bodies.NDJSON)
    if bodies.is_small(request):
        reading = read_batch(await bodies.read(request), media_type, key, scope.look_up)
        return await _accept_batch(scope, to_the_end(reading))
    large = request.app[LARGE_BODIES]
    with large.room(request) as room:
        body = await bodies.read(request, bodies.MAX_BATCH_BYTES, room)
        return await _accept_batch(scope, await large.in_turns(read_batch(body, media_type, key, scope.look_up)))


async def _accept_job(scope: RequestScope, submission: Submission) -> web.Response:
    [accepted] = await scope.producer.submit([submission])
    job, job_id = submission.job, format_id(accepted.id)
    if accepted.replayed or accepted.deduplicated:
        job = await _earlier(scope, accepted, job)
    elif scope.services.on_submitted is not None:
        scope.services.on_submitted(job.kind, job.priority, 1)
    body = AcceptedJob(job_id, accepted.state, job.kind, job.queue, views.label(job.priority), accepted.deduplicated)
    if not submission.kind_known:
        body.unknown_kinds = _unknown(scope, [submission])
    return answer(body, 200 if accepted.deduplicated else 201, Location=f"/jobs/{job_id}", **_replayed(accepted))


async def _earlier(scope: RequestScope, accepted: Accepted, submitted: Job) -> Job:
    """What the answer is about: another job was there, whose kind may have fixed other options then."""
    try:
        return (await scope.inspector.get(accepted.id)).job
    except JobNotFound:  # it has ended, and is not kept any more
        return submitted


async def _accept_batch(scope: RequestScope, batch: list[Submission]) -> web.Response:
    accepted = await scope.producer.submit(batch)
    if scope.services.on_submitted is not None:
        _count(scope.services.on_submitted, batch, accepted)
    ids = [format_id(one.id) for one in accepted]
    deduplicated = [index for index, one in enumerate(accepted) if one.deduplicated]
    return answer(
        AcceptedBatch(ids, len(ids), deduplicated, _unknown(scope, batch) or UNSET), 201, **_replayed(accepted[0])
    )


def _unknown(scope: RequestScope, batch: list[Submission]) -> list[str]:
    found = unknown_kinds(batch)
    scope.services.kinds.unknown.warn(found)
    return found


def _count(on_submitted: OnSubmitted, batch: list[Submission], accepted: list[Accepted]) -> None:
    fresh = Counter(
        (one.job.kind, one.job.priority)
        for one, verdict in zip(batch, accepted, strict=True)
        if not (verdict.replayed or verdict.deduplicated)
    )
    for (kind, priority), count in fresh.items():
        on_submitted(kind, priority, count)


def _replayed(accepted: Accepted) -> dict[str, str]:
    return {"Idempotency_Replayed": "true"} if accepted.replayed else {}
