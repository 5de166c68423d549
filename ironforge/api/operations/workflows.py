"""The operations on workflows: submit, look up, list, cancel, pause, resume, retry, fork."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any, Final

from aiohttp import web
from msgspec import UNSET
from multidict import istr

from ironforge.api.parsing import bodies, requests
from ironforge.api.parsing.large_bodies import LARGE_BODIES
from ironforge.api.parsing.workflows import read_fork, read_workflow
from ironforge.api.problems import ApiProblem
from ironforge.api.responses import answer
from ironforge.api.routes import QUEUES, TARGETS, Content, operation
from ironforge.api.schemas.workflow_views import workflow_answer, workflow_page
from ironforge.api.schemas.workflows import (
    AcceptedWorkflow,
    ForkRequest,
    WorkflowAnswer,
    WorkflowPage,
    WorkflowQuery,
    WorkflowsQuery,
    WorkflowState,
)
from ironforge.api.scope import RequestScope
from ironforge.auth.caller import MAX_QUEUES
from ironforge.errors import InvalidJob
from ironforge.job.checks import check_name
from ironforge.job.record import format_id
from ironforge.store.workflows.contract import SubmittedWorkflow, WorkflowFilter, WorkflowRow, WorkflowSubmission
from ironforge.store.workflows.preparing import Preparing
from ironforge.workflows.definition import Workflow
from ironforge.workflows.states import WorkflowStatus

_KEY: Final = istr("Idempotency-Key")
_ONE: Final = "/workflows/{workflow_id}"
# Of a workflow with more nodes, what is to be shown is put together in a thread.
_FEW_NODES: Final = 100
_EXAMPLE: Final = {
    "name": "order.fulfil",
    "nodes": [
        {"id": "charge", "kind": "card.charge", "payload": {"order": 42}, "compensate": "card.refund"},
        {"id": "pack", "kind": "parcel.pack", "payload": {"order": 42}},
        {
            "id": "send",
            "kind": "parcel.send",
            "payload": {"parcel": {"$result": "pack.result"}},
            "after": ["charge", "pack"],
        },
    ],
}
_ACCEPTED: Final[dict[str, dict[str, Any]]] = {
    "headers": {"Location": {"schema": {"type": "string"}, "description": "path of the workflow"}},
    "links": {
        name: {"operationId": name, "parameters": {"workflow_id": "$response.body#/id"}}
        for name in ("getWorkflow", "cancelWorkflow", "pauseWorkflow", "resumeWorkflow")
    },
}


@operation(
    "post",
    "/workflows",
    access="jobs:submit",
    answers={201: AcceptedWorkflow},
    refusals=(409, 422, 429),
    body={bodies.JSON: Content(Workflow, {"example": _EXAMPLE})},
    keyed=True,
    describes=_ACCEPTED,
)
async def submit_workflow(request: web.Request, scope: RequestScope) -> web.Response:
    """Submit a workflow: jobs that depend on each other."""
    key, prepare = _key(request), _preparing(scope)
    bodies.media_type(request, bodies.JSON)
    if bodies.is_small(request):
        return await _accept(scope, read_workflow(await bodies.read(request), key, prepare), prepare)
    large = request.app[LARGE_BODIES]
    with large.room(request) as room:
        body = await bodies.read(request, bodies.MAX_BATCH_BYTES, room)
        submission = await large.in_thread(partial(read_workflow, body, key, prepare))
        return await _accept(scope, submission, prepare)


@operation("get", "/workflows", access="jobs:read", answers={200: WorkflowPage})
async def list_workflows(_request: web.Request, scope: RequestScope, query: WorkflowsQuery) -> web.Response:
    """List workflows, the newest first."""
    cursors = scope.services.cursors
    wanted = WorkflowFilter(None if query.status is UNSET else query.status, _checked_name(query.name))
    purpose = ("workflows", scope.caller.queue_names, *wanted)
    cursor = cursors.open(query.cursor, *purpose)
    try:
        page = await scope.workflows.page(wanted, limit=query.limit, cursor=cursor)
    except ValueError as error:
        raise ApiProblem("invalid_parameter", f"cursor: {error}", field="cursor") from None
    return answer(workflow_page(page.rows, cursors.seal(page.cursor, *purpose)))


@operation("get", _ONE, access="jobs:read", answers={200: WorkflowAnswer}, refusals=(404,))
async def get_workflow(request: web.Request, scope: RequestScope, query: WorkflowQuery) -> web.Response:
    """Look up a workflow, with all its nodes."""
    view = await scope.workflows.view(_id(request), results=query.results)
    shown = partial(workflow_answer, view)
    return answer(shown() if len(view.nodes) <= _FEW_NODES else await request.app[LARGE_BODIES].in_thread(shown))


@operation(
    "post",
    f"{_ONE}/cancel",
    access="jobs:cancel",
    answers={200: WorkflowState, 202: WorkflowState},
    refusals=(404, 409),
    audited=True,
)
async def cancel_workflow(request: web.Request, scope: RequestScope) -> web.Response:
    """Cancel a workflow: nothing of it starts any more, and what runs is stopped."""
    workflow_id = (await _noted(request, scope)).id
    status = await scope.workflows.cancel(workflow_id)
    return _stands(workflow_id, status, 200 if status == "cancelled" else 202)


@operation(
    "post",
    f"{_ONE}/pause",
    access="jobs:cancel",
    answers={200: WorkflowState},
    refusals=(404, 409),
    audited=True,
)
async def pause_workflow(request: web.Request, scope: RequestScope) -> web.Response:
    """Have no node of a workflow start; what runs goes on."""
    workflow_id = (await _noted(request, scope)).id
    return _stands(workflow_id, await scope.workflows.pause(workflow_id))


@operation(
    "post",
    f"{_ONE}/resume",
    access="jobs:retry",
    answers={200: WorkflowState},
    refusals=(404, 409),
    audited=True,
)
async def resume_workflow(request: web.Request, scope: RequestScope) -> web.Response:
    """Let a paused workflow go on."""
    workflow_id = (await _noted(request, scope)).id
    return _stands(workflow_id, await scope.workflows.resume(workflow_id))


@operation(
    "post",
    f"{_ONE}/retry",
    access="jobs:retry",
    answers={200: WorkflowState},
    refusals=(404, 409, 429),
    audited=True,
)
async def retry_workflow(request: web.Request, scope: RequestScope) -> web.Response:
    """Have a failed or cancelled workflow go on from the nodes that did not succeed."""
    workflow_id = (await _noted(request, scope)).id
    return _stands(workflow_id, await scope.workflows.retry(workflow_id))


@operation(
    "post",
    f"{_ONE}/fork",
    access="jobs:submit",
    answers={201: AcceptedWorkflow},
    refusals=(404, 409, 422, 429),
    example={"node": "pack", "payload": {"order": 42, "box": "large"}},
    audited=True,
    keyed=True,
    most_bytes=bodies.MAX_BODY_BYTES,
    describes=_ACCEPTED,
)
async def fork_workflow(request: web.Request, scope: RequestScope, body: ForkRequest) -> web.Response:
    """Start another workflow with the results of one that has ended, from a node on."""
    workflow_id, prepare = _id(request), _preparing(scope)
    fork = read_fork(workflow_id, body.node, None if body.payload is UNSET else bytes(body.payload), _key(request))
    before = await _noted(request, scope)
    submitted = await scope.workflows.fork(workflow_id, fork, prepare)
    request[TARGETS] = [format_id(submitted.id)]
    return _accepted(scope, submitted, before.name, before.nodes, prepare)


async def _accept(scope: RequestScope, submission: WorkflowSubmission, prepare: Preparing) -> web.Response:
    [submitted] = await scope.workflows.submit([submission])
    prepared, on_submitted = submission.prepared, scope.services.on_submitted
    if on_submitted is not None and not submitted.replayed:
        nodes = zip(prepared.graph.nodes, prepared.options, strict=True)
        for (kind, priority), count in Counter((node.kind, each.record.priority) for node, each in nodes).items():
            on_submitted(kind, priority, count)
    return _accepted(scope, submitted, prepared.document.name, len(prepared.graph), prepare)


def _accepted(
    scope: RequestScope, submitted: SubmittedWorkflow, name: str, nodes: int, prepare: Preparing
) -> web.Response:
    workflow_id = format_id(submitted.id)
    body = AcceptedWorkflow(workflow_id, name, submitted.status, nodes)
    if unknown := prepare.unknown_kinds:
        scope.services.kinds.unknown.warn(unknown)
        body.unknown_kinds = unknown
    replayed = {"Idempotency_Replayed": "true"} if submitted.replayed else {}
    return answer(body, 201, Location=f"/workflows/{workflow_id}", **replayed)


async def _noted(request: web.Request, scope: RequestScope) -> WorkflowRow:
    """The workflow of the path, with its queues for the audit trail; of more than a key may have, none."""
    row = await scope.workflows.row(_id(request))
    request[QUEUES] = row.queues if len(row.queues) <= MAX_QUEUES else ()
    return row


def _stands(workflow_id: bytes, status: WorkflowStatus, code: int = 200) -> web.Response:
    return answer(WorkflowState(format_id(workflow_id), status), code)


def _preparing(scope: RequestScope) -> Preparing:
    return Preparing(scope.look_up, by=scope.caller.identity)


def _id(request: web.Request) -> bytes:
    return requests.read_id(request.match_info["workflow_id"], "workflow")


def _key(request: web.Request) -> str | None:
    return requests.read_key(request.headers.getall(_KEY, ()))


def _checked_name(name: str | None) -> str | None:
    try:
        return name if name is None else check_name("name", name, "invalid_parameter")
    except InvalidJob as error:
        raise ApiProblem("invalid_parameter", str(error), field="name", hint=error.hint) from None
