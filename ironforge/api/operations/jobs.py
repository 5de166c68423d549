"""The operations on jobs, but submission: look up, list, cancel, retry.

Handlers only translate: every decision about a job is taken in the store, in one atomic step.
"""

from __future__ import annotations

import msgspec
from aiohttp import web

from ironforge.api.operations.queues import SHARED_SECONDS
from ironforge.api.parsing import requests
from ironforge.api.problems import ApiProblem
from ironforge.api.responses import answer
from ironforge.api.routes import QUEUES, operation
from ironforge.api.schemas import views
from ironforge.api.schemas.jobs import DeadQuery, JobAnswer, JobPage, JobQuery, JobsQuery, RetryRequest
from ironforge.api.scope import RequestScope
from ironforge.errors import InvalidState
from ironforge.formats.timestamps import now_ms
from ironforge.job.record import JobState
from ironforge.store.contract import JobFilter, JobView, Page
from ironforge.store.waiting import explained


@operation("get", "/jobs", access="jobs:read", answers={200: JobPage})
async def list_jobs(_request: web.Request, scope: RequestScope, query: JobsQuery) -> web.Response:
    """List jobs, newest first."""
    return await _page(scope, query, None if query.state is msgspec.UNSET else query.state)


@operation("get", "/jobs/{id}", access="jobs:read", answers={200: JobAnswer}, refusals=(404,))
async def get_job(request: web.Request, scope: RequestScope, query: JobQuery) -> web.Response:
    """Look up a job."""
    job_id = requests.read_id(request.match_info["id"])
    shown = views.job_answer(*await _explained(scope, await scope.inspector.get(job_id)))
    return answer(views.with_steps(shown, await scope.inspector.steps(job_id)) if query.steps else shown)


@operation(
    "delete",
    "/jobs/{id}",
    access="jobs:cancel",
    answers={200: JobAnswer, 202: JobAnswer},
    refusals=(404, 409),
    audited=True,
)
async def cancel_job(request: web.Request, scope: RequestScope) -> web.Response:
    """Cancel a job."""
    job_id = requests.read_id(request.match_info["id"])
    # Looked up before: a job that is not retained cannot be shown any more once it is cancelled.
    view = await scope.inspector.get(job_id)
    request[QUEUES] = (view.job.queue,)
    state = await scope.producer.cancel(job_id)
    if state is JobState.RUNNING:
        return answer(_shown(scope, view._replace(state=state, cancel_requested=True)), 202)
    cancelled = view.job.finish(state, now_ms())
    return answer(_shown(scope, JobView(cancelled, state)))


@operation(
    "post",
    "/jobs/{id}/retry",
    access="jobs:retry",
    answers={200: JobAnswer},
    refusals=(404, 409, 429),
    example={},
    audited=True,
)
async def retry_job(request: web.Request, scope: RequestScope, body: RetryRequest) -> web.Response:
    """Revive a dead job."""
    job_id = requests.read_id(request.match_info["id"])
    view = await scope.inspector.get(job_id)
    state, request[QUEUES] = view.state, (view.job.queue,)
    if state is not JobState.DEAD:
        # Reviving would refuse it too, but only looking can tell running from queued.
        raise InvalidState(f"the job is {state}: only a dead job can be retried", state=state)
    job = await scope.producer.retry(job_id, reset_retry_count=body.reset_retry_count)
    return answer(_shown(scope, *await _explained(scope, JobView(job, JobState.QUEUED))))


@operation("get", "/dlq", access="jobs:read", answers={200: JobPage})
async def list_dead_jobs(_request: web.Request, scope: RequestScope, query: DeadQuery) -> web.Response:
    """List the dead letters."""
    return await _page(scope, query, JobState.DEAD)


def _shown(scope: RequestScope, view: JobView) -> JobAnswer:
    """What a job carries is not shown to a caller that may cancel or retry it, and not read it."""
    return views.job_answer(view) if scope.may_read else views.bare_job_answer(view)


async def _page(scope: RequestScope, query: DeadQuery, state: JobState | None) -> web.Response:
    cursors = scope.services.cursors
    wanted = JobFilter(state, query.kind, query.queue)
    purpose = ("jobs", scope.caller.queue_names, *wanted)
    cursor = cursors.open(query.cursor, *purpose)
    try:
        page = await scope.inspector.jobs(wanted, limit=query.limit, cursor=cursor)
    except ValueError as error:
        raise ApiProblem("invalid_parameter", f"cursor: {error}", field="cursor") from None
    return answer(views.job_page(Page(await _explained(scope, *page.jobs), cursors.seal(page.cursor, *purpose))))


async def _explained(scope: RequestScope, *shown: JobView) -> list[JobView]:
    """With what those that are queued wait for."""
    if not any(view.state is JobState.QUEUED for view in shown):
        return [*shown]
    kinds = await scope.inspector.kinds(max_age_seconds=SHARED_SECONDS)
    return [
        view._replace(waiting_for=explained(view.job, view.waiting_for, kinds))
        if view.state is JobState.QUEUED
        else view
        for view in shown
    ]
