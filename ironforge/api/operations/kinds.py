"""The operations on kinds: what nodes announced of them, and which nodes run them."""

from __future__ import annotations

from bisect import bisect_right

from aiohttp import web

from ironforge.api.operations.queues import SHARED_SECONDS
from ironforge.api.responses import answer
from ironforge.api.routes import operation
from ironforge.api.schemas import views
from ironforge.api.schemas.kinds import RELEASED_AT_ONCE, KindAnswer, KindPage, KindsQuery, ReleaseAnswer, ReleaseBody
from ironforge.api.scope import RequestScope
from ironforge.errors import KindNotFound
from ironforge.job.checks import check_kind
from ironforge.store.kinds import Kind


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
    return answer(views.kind_answer(await _known(scope, name)))


@operation(
    "post",
    "/kinds/{kind}/release",
    access="jobs:retry",
    answers={200: ReleaseAnswer},
    refusals=(404,),
    example={"version": "2026.11"},
    audited=True,
)
async def release_kind(request: web.Request, scope: RequestScope, body: ReleaseBody) -> web.Response:
    """Have any version of the application go on with jobs that wait for the one that began them."""
    kind = check_kind(request.match_info["kind"])
    released = await scope.producer.release(kind, body.version, most=RELEASED_AT_ONCE)
    if not released:
        await _known(scope, kind)
    return answer(ReleaseAnswer(kind, body.version, released, released == RELEASED_AT_ONCE))


async def _known(scope: RequestScope, name: str) -> Kind:
    found = (await scope.inspector.kinds(max_age_seconds=SHARED_SECONDS)).known.get(name)
    if found is None:
        raise KindNotFound(f"no node has announced kind {name} within 30 days")
    return found
