"""The operations on kinds: what nodes announced of them, and which nodes run them."""

from __future__ import annotations

from bisect import bisect_right

from aiohttp import web

from ironforge.api.operations.queues import SHARED_SECONDS
from ironforge.api.responses import answer
from ironforge.api.routes import operation
from ironforge.api.schemas import views
from ironforge.api.schemas.kinds import KindAnswer, KindPage, KindsQuery
from ironforge.api.scope import RequestScope
from ironforge.errors import KindNotFound
from ironforge.job.checks import check_kind


@operation("get", "/kinds", access="jobs:read", answers={200: KindPage})
async def list_kinds(_request: web.Request, scope: RequestScope, query: KindsQuery) -> web.Response:
    """List the kinds that nodes announced."""
    cursors, purpose = scope.services.cursors, ("kinds", scope.caller.queue_names)
    last = cursors.open(query.cursor, *purpose)
    known = (await scope.inspector.kinds(max_age_seconds=SHARED_SECONDS)).known
    names = sorted(known)
    start = 0 if last is None else bisect_right(names, last)
    page = names[start : start + query.limit]
    following = page[-1] if start + query.limit < len(names) else None
    return answer(KindPage([views.kind_summary(known[name]) for name in page], cursors.seal(following, *purpose)))


@operation("get", "/kinds/{kind}", access="jobs:read", answers={200: KindAnswer}, refusals=(404,))
async def get_kind(request: web.Request, scope: RequestScope) -> web.Response:
    """Look up a kind."""
    name = check_kind(request.match_info["kind"])
    found = (await scope.inspector.kinds(max_age_seconds=SHARED_SECONDS)).known.get(name)
    if found is None:
        raise KindNotFound(f"no node has announced kind {name} within 30 days")
    return answer(views.kind_answer(found))
