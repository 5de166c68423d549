"""Composes the HTTP API: which handler answers which call.

It knows the store only by its protocols, and takes everything else that the process has to offer as a
callable.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Final

from aiohttp import web

from ironforge.api import openapi
from ironforge.api.authentication import AuthenticationMiddleware
from ironforge.api.middleware import OnAnswered, guarded_application
from ironforge.api.operations.jobs import JobCalls
from ironforge.api.operations.operator import OperatorCalls, Readiness
from ironforge.api.operations.queue_metrics import Exposition
from ironforge.api.operations.submission import OnSubmitted, SubmitCalls
from ironforge.api.parsing.bodies import json_at_most
from ironforge.api.parsing.cursors import Cursors
from ironforge.api.parsing.large_bodies import LARGE_BODIES, LargeBodies
from ironforge.api.routes import operations
from ironforge.api.tenants import RequestScope
from ironforge.settings import Settings
from ironforge.store.contract import Inspector, Producer

# The handler of each call, as an attribute of a desk.
_HANDLERS: Final = {
    "submitJob": attrgetter("submit.submit_job"),
    "submitBatch": attrgetter("submit.submit_batch"),
    "listJobs": attrgetter("jobs.list_jobs"),
    "getJob": attrgetter("jobs.get_job"),
    "cancelJob": attrgetter("jobs.cancel_job"),
    "retryJob": attrgetter("jobs.retry_job"),
    "listDeadJobs": attrgetter("jobs.list_dead_jobs"),
    "getQueueStats": attrgetter("operator.get_queue_stats"),
    "pauseQueue": attrgetter("jobs.pause_queue"),
    "resumeQueue": attrgetter("jobs.resume_queue"),
    "listNodes": attrgetter("operator.list_nodes"),
    "getHealth": attrgetter("operator.get_health"),
    "getLiveness": attrgetter("operator.get_liveness"),
    "getReadiness": attrgetter("operator.get_readiness"),
    "getMetrics": attrgetter("operator.get_metrics"),
    "getQuotas": attrgetter("keys.get_quotas"),
    "listKeys": attrgetter("keys.list_keys"),
    "createKey": attrgetter("keys.create_key"),
    "revokeKey": attrgetter("keys.revoke_key"),
    "listAudit": attrgetter("keys.list_audit"),
}


def create_app(
    settings: Settings,
    producer: Producer,
    inspector: Inspector,
    *,
    readiness: Readiness | None = None,
    exposition: Exposition | None = None,
    on_submitted: OnSubmitted | None = None,
    on_answered: OnAnswered | None = None,
    authentication: AuthenticationMiddleware | None = None,
) -> web.Application:
    """The application, ready for `serve`.

    `readiness` says what keeps this process from taking requests, `exposition` gives body and Content-Type of
    /metrics, `on_submitted` hears kind, priority and number of newly accepted jobs, `on_answered` of every
    answer. With a `authentication` every caller has a
    desk of its own, and these doors serve only the calls that nobody has to prove anything for.
    """
    operator = OperatorCalls(inspector, settings.durability, readiness, exposition, discreet=authentication is not None)
    submit = SubmitCalls(producer, on_submitted)
    scope = RequestScope(submit, JobCalls(producer, inspector, Cursors(settings)), operator)
    app = guarded_application(asks_callers=authentication is not None, on_answered=on_answered)
    app[LARGE_BODIES] = LargeBodies()
    add = {"get": app.router.add_get, "post": app.router.add_post, "delete": app.router.add_delete}
    for call in operations(auth=authentication is not None):
        if call.operation_id == "getOpenApi":
            handler = openapi.serving(auth=authentication is not None)
        elif authentication is None or call.access == "public":
            handler = _HANDLERS[call.operation_id](scope)
        else:
            handler = authentication.guarding(call, _HANDLERS[call.operation_id])
        if call.method != "get" and not call.needs_body:
            handler = json_at_most(handler)
        # Otherwise GET /jobs/batch would look for a job of that name instead of saying 405.
        path = call.path.replace("{id}", "{id:(?!batch$)[^/]+}")
        add[call.method](path, handler)
    app.cleanup_ctx.append(operator.sample if authentication is None else authentication.run)
    return app
