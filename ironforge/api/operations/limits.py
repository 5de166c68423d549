"""The operations on limits: defining and overriding them, how they stand, letting a key go on."""

from __future__ import annotations

import msgspec
from aiohttp import web

from ironforge.api.responses import answer
from ironforge.api.routes import operation
from ironforge.api.schemas.limits import (
    DeletedLimit,
    HolderAnswer,
    LimitAnswer,
    LimitKeyAnswer,
    LimitPatch,
    LimitQuery,
    LimitsAnswer,
    LimitWithKey,
    OverrideAnswer,
    ResumedKey,
    ResumeQuery,
)
from ironforge.api.schemas.views import optional_rfc3339, rfc3339
from ironforge.api.scope import RequestScope
from ironforge.errors import Forbidden, InvalidJob
from ironforge.formats.timestamps import now_ms
from ironforge.job.checks import check_note, check_until
from ironforge.job.limits import Limit, LimitDefinition, Override, check_limit_key, check_limit_name
from ironforge.job.record import format_id
from ironforge.store.contract import LimitKey
from ironforge.store.limits import effective


@operation("get", "/limits", access="jobs:read", answers={200: LimitsAnswer})
async def list_limits(_request: web.Request, scope: RequestScope) -> web.Response:
    """List the limits."""
    known = await scope.services.doors.limits.all()
    now = now_ms()
    return answer(LimitsAnswer([_shown(name, definition, now) for name, definition in known.items()]))


@operation("get", "/limits/{limit}", access="jobs:read", answers={200: LimitWithKey}, refusals=(404,))
async def get_limit(request: web.Request, scope: RequestScope, query: LimitQuery) -> web.Response:
    """Look up a limit, and one of its keys."""
    name = _name(request)
    shown = _shown(name, await scope.services.doors.limits.get(name), now_ms())
    key = None
    if query.key is not msgspec.UNSET:
        text = check_limit_key(name, query.key, "key")
        key = _key(text, await scope.services.doors.limits.key(name, text), all_queues=scope.caller.queues is None)
    return answer(LimitWithKey(shown.name, shown.limit, shown.override, shown.effective, key))


@operation(
    "put",
    "/limits/{limit}",
    access="limits:admin",
    answers={200: LimitAnswer},
    refusals=(429,),
    example={"concurrency": 4, "rate": {"units": 100, "per_seconds": 1, "burst": 20}},
    audited=True,
)
async def put_limit(request: web.Request, scope: RequestScope, body: Limit) -> web.Response:
    """Define a limit, or define it anew."""
    name = _changed(request, scope)
    await scope.services.doors.limits.put(name, body)
    return await _stands(scope, name)


@operation(
    "patch",
    "/limits/{limit}",
    access="limits:admin",
    answers={200: LimitAnswer},
    refusals=(404,),
    example={"override": {"concurrency": 2}, "until": "2030-01-31T12:00:00Z", "note": "their database is slow"},
    audited=True,
)
async def override_limit(request: web.Request, scope: RequestScope, body: LimitPatch) -> web.Response:
    """Say what holds instead of the definition, or take that back."""
    name = _changed(request, scope)
    override = _override(body)
    await scope.services.doors.limits.override(name, override)
    return await _stands(scope, name)


@operation(
    "delete", "/limits/{limit}", access="limits:admin", answers={200: DeletedLimit}, refusals=(404,), audited=True
)
async def delete_limit(request: web.Request, scope: RequestScope) -> web.Response:
    """Take a limit back."""
    name = _changed(request, scope)
    await scope.services.doors.limits.delete(name)
    return answer(DeletedLimit(name, deleted=True))


@operation(
    "post", "/limits/{limit}/resume", access="limits:admin", answers={200: ResumedKey}, refusals=(404,), audited=True
)
async def resume_limit(request: web.Request, scope: RequestScope, query: ResumeQuery) -> web.Response:
    """Let a key go on that waits for a dead job, or that a handler stopped."""
    name = _changed(request, scope)
    key = check_limit_key(name, query.key, "key")
    await scope.services.doors.limits.get(name)
    return answer(ResumedKey(name, key, await scope.services.doors.limits.resume(name, key)))


def _name(request: web.Request) -> str:
    return check_limit_name(request.match_info["limit"])


def _changed(request: web.Request, scope: RequestScope) -> str:
    """The name of a limit that is about to be changed. Raises Forbidden for a caller that is limited to some queues."""
    if scope.caller.queues is not None:
        raise Forbidden(
            "a limit holds for jobs of all queues, and this credential may use some alone: use one that may use all",
            code="queue_not_allowed",
        )
    return _name(request)


def _override(body: LimitPatch) -> Override | None:
    """Raises InvalidJob."""
    said = body.override
    until_ms = 0 if body.until is None else check_until("until", body.until)
    check_note(body.note)
    if said is None:
        for field in ("until", "note"):
            if getattr(body, field):
                raise _contradiction(field, f"{field} belongs to an override, and it is taken back", "leave it out")
        return None
    if said.concurrency is None and said.rate is None:
        hint = "give concurrency, rate, or both, or null to take one back"
        raise _contradiction("override", "the override changes nothing", hint)
    return Override(said.concurrency, said.rate, until_ms, body.note)


def _contradiction(field: str, message: str, hint: str) -> InvalidJob:
    return InvalidJob(f"{message}: {hint}", code="invalid_limit", field=field, hint=hint)


async def _stands(scope: RequestScope, name: str) -> web.Response:
    return answer(_shown(name, await scope.services.doors.limits.get(name), now_ms()))


def _shown(name: str, definition: LimitDefinition, now: int) -> LimitAnswer:
    said = definition.override
    override = None
    if said is not None:
        override = OverrideAnswer(said.concurrency, said.rate, optional_rfc3339(said.until_ms or None), said.note)
    return LimitAnswer(name, definition.limit, override, effective(definition, now))


def _key(text: str, key: LimitKey, *, all_queues: bool) -> LimitKeyAnswer:
    return LimitKeyAnswer(
        text,
        key.running if all_queues else None,
        key.waiting if all_queues else None,
        key.remaining,
        rfc3339(key.resets_ms),
        optional_rfc3339(key.next_ms),
        optional_rfc3339(key.stopped_ms),
        key.probing,
        [HolderAnswer(format_id(job_id), rfc3339(since)) for job_id, since in key.holders] if all_queues else None,
    )
