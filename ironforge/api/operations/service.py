"""The operations on the installation: nodes, health, probes, metrics, and the document of all operations.

/livez never asks the store: a restart of this process cannot repair Redis. /health and /readyz do, and
answer JSON of their own form even when the store is away, because probes and dashboards read them exactly
then.
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Literal

import msgspec
from aiohttp import web

from ironforge.api.openapi import document
from ironforge.api.operations.queue_metrics import of_queues
from ironforge.api.operations.queues import SHARED_SECONDS
from ironforge.api.parsing.bodies import JSON
from ironforge.api.problems import ApiProblem
from ironforge.api.responses import answer
from ironforge.api.routes import FAULT, operation
from ironforge.api.schemas import views
from ironforge.api.schemas.operator import HealthAnswer, LiveAnswer, NodesAnswer, ReadyAnswer, StoreHealth
from ironforge.api.scope import RequestScope
from ironforge.errors import StoreError
from ironforge.metrics.queue_depths import Reading
from ironforge.store.contract import Inspector
from ironforge.version import VERSION


@operation("get", "/nodes", access="metrics:read", answers={200: NodesAnswer})
async def list_nodes(_request: web.Request, scope: RequestScope) -> web.Response:
    """List the nodes."""
    nodes = await scope.inspector.nodes(max_age_seconds=SHARED_SECONDS)
    return answer(views.node_list(nodes, may_read=scope.may_read))


@operation(
    "get",
    "/health",
    access="metrics:read",
    answers={200: HealthAnswer, 503: HealthAnswer},
    faults=(FAULT,),
    any_query=True,
)
async def get_health(_request: web.Request, scope: RequestScope) -> web.Response:
    """State of the store."""
    durability = scope.services.durability
    try:
        health = await scope.inspector.health()
    except StoreError as error:
        return answer(HealthAnswer("unavailable", VERSION, durability, None, [str(error)]), 503)
    store = StoreHealth(health.server, health.version, health.durability, health.used_memory, health.max_memory)
    status: Literal["degraded", "ok"] = "degraded" if health.problems else "ok"
    return answer(HealthAnswer(status, VERSION, durability, store, health.problems))


@operation("get", "/livez", access="public", answers={200: LiveAnswer}, faults=(), any_query=True)
async def get_liveness(_request: web.Request, scope: RequestScope) -> web.Response:  # noqa: ARG001 - asks nothing of it
    """Is the process alive."""
    loop = asyncio.get_running_loop()
    before = loop.time()
    await asyncio.sleep(0)
    return answer(LiveAnswer("ok", round(loop.time() - before, 6)))


@operation(
    "get",
    "/readyz",
    access="public",
    answers={200: ReadyAnswer, 503: ReadyAnswer},
    faults=(FAULT,),
    any_query=True,
)
async def get_readiness(_request: web.Request, scope: RequestScope) -> web.Response:
    """Can it take requests."""
    problems = scope.services.readiness() if scope.services.readiness else []
    try:
        await scope.inspector.health()
    except StoreError as error:
        problems = [*problems, str(error)]
    if not problems:
        return answer(ReadyAnswer("ready", []))
    if scope.services.asks_callers:  # and this call answers everybody: what is wrong may name hosts and users
        problems = ["GET /health and the log say why, to whom may know"]
    return answer(ReadyAnswer("not ready", problems), 503)


@operation(
    "get", "/metrics", access="metrics:read", answers={200: None}, refusals=(404,), faults=(FAULT,), any_query=True
)
async def get_metrics(_request: web.Request, scope: RequestScope) -> web.Response:
    """Prometheus metrics."""
    exposition = scope.services.exposition
    if exposition is None:
        raise ApiProblem("metrics_not_available", "this process exposes no metrics")
    if scope.caller.queues is not None:
        exposition = of_queues(exposition, scope.caller.queues)
    body, content_type = exposition(await _reading(scope.inspector))
    return web.Response(body=body, headers={"Content-Type": content_type})


@operation("get", "/openapi.json", access="public", answers={200: dict}, faults=(), any_query=True)
async def get_open_api(_request: web.Request, scope: RequestScope) -> web.Response:
    """This document."""
    return web.Response(body=_encoded(auth=scope.services.asks_callers), content_type=JSON)


@cache
def _encoded(*, auth: bool) -> bytes:
    return msgspec.json.encode(document(auth=auth))


async def _reading(inspector: Inspector) -> Reading | None:
    """None while the store is away: the rest of the page is wanted all the more then."""
    try:
        stats = await inspector.stats(max_age_seconds=SHARED_SECONDS)
        nodes = await inspector.nodes(max_age_seconds=SHARED_SECONDS)
        return Reading(stats, nodes, await inspector.kinds(max_age_seconds=SHARED_SECONDS))
    except StoreError:
        return None
