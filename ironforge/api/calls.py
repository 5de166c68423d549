"""Every call of the HTTP API as data: its path, what it takes, what it answers.

The routes and the OpenAPI document are both made from this table, so neither can know a call that the other
does not.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ironforge.api import schemas

_ASKED_STORE: Final = (500, 503)
_LISTED: Final = (400, *_ASKED_STORE)
_READ_BODY: Final = (400, 408, 413, 415, 500, 503)
_SUBMITTED: Final = (*_READ_BODY, 409, 429)


class Operation(NamedTuple):
    """`answers`: the type per successful status; None: not JSON. `problems`: statuses with a problem."""

    method: str
    path: str
    operation_id: str
    summary: str
    answers: dict[int, type | None]
    problems: tuple[int, ...] = ()
    query: type = schemas.NoQuery
    body: str = ""


OPERATIONS: Final = (
    Operation(
        "post",
        "/jobs",
        "submitJob",
        "Submit a job",
        {201: schemas.AcceptedJob},
        _SUBMITTED,
        body="job",
    ),
    Operation(
        "post",
        "/jobs/batch",
        "submitBatch",
        "Submit up to 10,000 jobs, all or none",
        {201: schemas.AcceptedBatch},
        _SUBMITTED,
        body="batch",
    ),
    Operation(
        "get",
        "/jobs",
        "listJobs",
        "List jobs, newest first",
        {200: schemas.JobPage},
        _LISTED,
        query=schemas.JobsQuery,
    ),
    Operation("get", "/jobs/{id}", "getJob", "Look up a job", {200: schemas.JobAnswer}, (*_LISTED, 404)),
    Operation(
        "delete",
        "/jobs/{id}",
        "cancelJob",
        "Cancel a job",
        {200: schemas.JobAnswer, 202: schemas.JobAnswer},
        (*_LISTED, 404, 409),
    ),
    Operation(
        "post",
        "/jobs/{id}/retry",
        "retryJob",
        "Revive a dead job",
        {200: schemas.JobAnswer},
        (*_READ_BODY, 404, 409),
        body="retry",
    ),
    Operation(
        "get",
        "/dlq",
        "listDeadJobs",
        "List the dead letters",
        {200: schemas.JobPage},
        _LISTED,
        query=schemas.DeadQuery,
    ),
    Operation("get", "/queues/stats", "getQueueStats", "Depths and rates", {200: schemas.QueueStats}, _LISTED),
    Operation("get", "/nodes", "listNodes", "List the nodes", {200: schemas.NodesAnswer}, _LISTED),
    Operation(
        "get",
        "/health",
        "getHealth",
        "State of the store",
        {200: schemas.HealthAnswer, 503: schemas.HealthAnswer},
        (500,),
    ),
    Operation("get", "/livez", "getLiveness", "Is the process alive", {200: schemas.LiveAnswer}),
    Operation(
        "get",
        "/readyz",
        "getReadiness",
        "Can it take requests",
        {200: schemas.ReadyAnswer, 503: schemas.ReadyAnswer},
        (500,),
    ),
    Operation("get", "/metrics", "getMetrics", "Prometheus metrics", {200: None}, (404, 500)),
    Operation("get", "/openapi.json", "getOpenApi", "This document", {200: dict}),
)
