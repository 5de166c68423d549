"""Every call of the HTTP API as data: its path, what it takes, what it answers.

The routes and the OpenAPI document are both made from this table, so neither can know a call that the other
does not.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ironforge.api.schemas import jobs, keys, operator
from ironforge.auth.caller import Access

_ASKED_STORE: Final = (500, 503)
_LISTED: Final = (400, *_ASKED_STORE)
_CHANGED: Final = (400, 415, *_ASKED_STORE)
_READ_BODY: Final = (400, 408, 413, 415, 500, 503)
_SUBMITTED: Final = (*_READ_BODY, 409, 429)


class Operation(NamedTuple):
    """`access`: who may call it, where there is authentication. `answers`: the type per successful status; None: not
    JSON. `problems`: statuses with a problem. `audited`: what it does is written down under its operation id.
    `only_with_auth`: does not exist where nobody is asked who they are.
    """

    method: str
    path: str
    operation_id: str
    summary: str
    access: Access
    answers: dict[int, type | None]
    problems: tuple[int, ...] = ()
    query: type = jobs.NoQuery
    body: str = ""
    audited: bool = False
    only_with_auth: bool = False

    @property
    def needs_body(self) -> bool:
        return self.body not in ("", "retry")


OPERATIONS: Final = (
    Operation(
        "post",
        "/jobs",
        "submitJob",
        "Submit a job",
        "jobs:submit",
        {201: jobs.AcceptedJob},
        _SUBMITTED,
        body="job",
    ),
    Operation(
        "post",
        "/jobs/batch",
        "submitBatch",
        "Submit up to 10,000 jobs, all or none",
        "jobs:submit",
        {201: jobs.AcceptedBatch},
        _SUBMITTED,
        body="batch",
    ),
    Operation(
        "get",
        "/jobs",
        "listJobs",
        "List jobs, newest first",
        "jobs:read",
        {200: jobs.JobPage},
        _LISTED,
        query=jobs.JobsQuery,
    ),
    Operation("get", "/jobs/{id}", "getJob", "Look up a job", "jobs:read", {200: jobs.JobAnswer}, (*_LISTED, 404)),
    Operation(
        "delete",
        "/jobs/{id}",
        "cancelJob",
        "Cancel a job",
        "jobs:cancel",
        {200: jobs.JobAnswer, 202: jobs.JobAnswer},
        (*_CHANGED, 404, 409),
        audited=True,
    ),
    Operation(
        "post",
        "/jobs/{id}/retry",
        "retryJob",
        "Revive a dead job",
        "jobs:retry",
        {200: jobs.JobAnswer},
        (*_SUBMITTED, 404),
        body="retry",
        audited=True,
    ),
    Operation(
        "get",
        "/dlq",
        "listDeadJobs",
        "List the dead letters",
        "jobs:read",
        {200: jobs.JobPage},
        _LISTED,
        query=jobs.DeadQuery,
    ),
    Operation(
        "get",
        "/queues/stats",
        "getQueueStats",
        "Depths and rates",
        "jobs:read",
        {200: operator.QueueStats},
        _LISTED,
    ),
    Operation(
        "post",
        "/queues/{queue}/pause",
        "pauseQueue",
        "Have nodes take no job of a queue",
        "queues:admin",
        {200: jobs.QueueAnswer},
        _CHANGED,
        audited=True,
    ),
    Operation(
        "post",
        "/queues/{queue}/resume",
        "resumeQueue",
        "Have nodes take jobs of a queue again",
        "queues:admin",
        {200: jobs.QueueAnswer},
        _CHANGED,
        audited=True,
    ),
    Operation("get", "/nodes", "listNodes", "List the nodes", "metrics:read", {200: operator.NodesAnswer}, _LISTED),
    Operation(
        "get",
        "/health",
        "getHealth",
        "State of the store",
        "metrics:read",
        {200: operator.HealthAnswer, 503: operator.HealthAnswer},
        (500,),
    ),
    Operation("get", "/livez", "getLiveness", "Is the process alive", "public", {200: operator.LiveAnswer}),
    Operation(
        "get",
        "/readyz",
        "getReadiness",
        "Can it take requests",
        "public",
        {200: operator.ReadyAnswer, 503: operator.ReadyAnswer},
        (500,),
    ),
    Operation("get", "/metrics", "getMetrics", "Prometheus metrics", "metrics:read", {200: None}, (404, 500)),
    Operation("get", "/openapi.json", "getOpenApi", "This document", "public", {200: dict}),
    Operation(
        "get",
        "/quotas",
        "getQuotas",
        "What may be submitted, and how much of it is used",
        "caller",
        {200: keys.QuotasAnswer},
        _LISTED,
        only_with_auth=True,
    ),
    Operation(
        "get",
        "/keys",
        "listKeys",
        "List the API keys",
        "keys:admin",
        {200: keys.KeysAnswer},
        _LISTED,
        only_with_auth=True,
    ),
    Operation(
        "post",
        "/keys",
        "createKey",
        "Make an API key",
        "keys:admin",
        {201: keys.NewKeyAnswer},
        (*_READ_BODY, 409),
        body="key",
        audited=True,
        only_with_auth=True,
    ),
    Operation(
        "delete",
        "/keys/{key_id}",
        "revokeKey",
        "Revoke an API key",
        "keys:admin",
        {200: keys.RevokedAnswer},
        (*_CHANGED, 404),
        query=keys.RevokeQuery,
        audited=True,
        only_with_auth=True,
    ),
    Operation(
        "get",
        "/audit",
        "listAudit",
        "Who did what, newest first",
        "keys:admin",
        {200: keys.AuditPage},
        _LISTED,
        query=keys.AuditQuery,
        only_with_auth=True,
    ),
)


def operations(*, auth: bool) -> tuple[Operation, ...]:
    """The calls that an API with or without authentication answers."""
    return OPERATIONS if auth else tuple(call for call in OPERATIONS if not call.only_with_auth)
