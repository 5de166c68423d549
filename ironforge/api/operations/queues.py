"""The operations on queues as a whole: how full they are, pausing and resuming them."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from ironforge.api.responses import answer
from ironforge.api.routes import QUEUES, operation
from ironforge.api.schemas import views
from ironforge.api.schemas.jobs import QueueAnswer
from ironforge.api.schemas.operator import QueueStats
from ironforge.api.scope import RequestScope
from ironforge.job.checks import check_queue

# How old a reading of counts may be that is given to many: the server is not asked more often, however many look.
SHARED_SECONDS: Final = 1.0


@operation("get", "/queues/stats", access="jobs:read", answers={200: QueueStats})
async def get_queue_stats(_request: web.Request, scope: RequestScope) -> web.Response:
    """Depths and rates."""
    stats = await scope.inspector.stats(max_age_seconds=SHARED_SECONDS)
    kinds = await scope.inspector.kinds(max_age_seconds=SHARED_SECONDS)
    shown = views.queue_stats(stats, kinds, scope.services.rates.until(stats))
    # What is counted over all queues tells of some that a limited caller may not use.
    return answer(shown if scope.caller.queues is None else views.without_totals(shown))


@operation("post", "/queues/{queue}/pause", access="queues:admin", answers={200: QueueAnswer}, audited=True)
async def pause_queue(request: web.Request, scope: RequestScope) -> web.Response:
    """Have nodes take no job of a queue."""
    return await _set_paused(request, scope, paused=True)


@operation("post", "/queues/{queue}/resume", access="queues:admin", answers={200: QueueAnswer}, audited=True)
async def resume_queue(request: web.Request, scope: RequestScope) -> web.Response:
    """Have nodes take jobs of a queue again."""
    return await _set_paused(request, scope, paused=False)


async def _set_paused(request: web.Request, scope: RequestScope, *, paused: bool) -> web.Response:
    queue = check_queue(request.match_info["queue"])
    request[QUEUES] = (queue,)
    await scope.producer.set_paused(queue, paused=paused)
    return answer(QueueAnswer(queue, paused))
