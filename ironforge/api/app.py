"""Composes the HTTP API: which handler answers which call.

It knows the store only by its protocols, and takes everything else that the process has to offer as a
callable.
"""

from __future__ import annotations

from aiohttp import web

from ironforge.api import openapi
from ironforge.api.calls import OPERATIONS
from ironforge.api.jobs import JobCalls, OnSubmitted
from ironforge.api.middleware import expect, guard
from ironforge.api.operations import Exposition, OperatorCalls, Readiness
from ironforge.config import Settings
from ironforge.store.contract import Inspection, Submissions


def create_app(
    settings: Settings,
    submissions: Submissions,
    inspection: Inspection,
    *,
    readiness: Readiness | None = None,
    exposition: Exposition | None = None,
    on_submitted: OnSubmitted | None = None,
) -> web.Application:
    """The application, ready for `serve`.

    `readiness` says what keeps this process from taking requests, `exposition` gives body and Content-Type of
    /metrics, `on_submitted` hears kind, priority and number of newly accepted jobs.
    """
    jobs = JobCalls(submissions, inspection, on_submitted)
    operator = OperatorCalls(inspection, settings.durability, readiness, exposition)
    app = web.Application(middlewares=[guard])
    handlers = {
        "submitJob": jobs.submit_job,
        "submitBatch": jobs.submit_batch,
        "listJobs": jobs.list_jobs,
        "getJob": jobs.get_job,
        "cancelJob": jobs.cancel_job,
        "retryJob": jobs.retry_job,
        "listDeadJobs": jobs.list_dead_jobs,
        "getQueueStats": operator.get_queue_stats,
        "listNodes": operator.list_nodes,
        "getHealth": operator.get_health,
        "getLiveness": operator.get_liveness,
        "getReadiness": operator.get_readiness,
        "getMetrics": operator.get_metrics,
        "getOpenApi": openapi.get_document,
    }
    add = {"get": app.router.add_get, "post": app.router.add_post, "delete": app.router.add_delete}
    for call in OPERATIONS:
        # Otherwise GET /jobs/batch would look for a job of that name instead of saying 405.
        path = call.path.replace("{id}", "{id:(?!batch$)[^/]+}")
        add[call.method](path, handlers[call.operation_id], expect_handler=expect)
    app.cleanup_ctx.append(operator.sample)
    return app
