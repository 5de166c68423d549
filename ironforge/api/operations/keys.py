"""The operations on keys, quotas and the audit trail, for the caller's own namespace.

A caller cannot hand on more than it holds: see `auth.inheritance`.
"""

from __future__ import annotations

import contextlib

import msgspec
from aiohttp import web

from ironforge.api.problems import ApiProblem
from ironforge.api.responses import answer
from ironforge.api.routes import TARGETS, operation
from ironforge.api.schemas.keys import (
    KEY_ID_EXAMPLE,
    AuditAnswer,
    AuditPage,
    AuditQuery,
    KeyAnswer,
    KeyRequest,
    KeysAnswer,
    NewKeyAnswer,
    QuotasAnswer,
    RevokedAnswer,
    RevokeQuery,
    UsageAnswer,
)
from ironforge.api.schemas.views import optional_rfc3339, rfc3339
from ironforge.api.scope import CallerScope
from ironforge.auth.api_keys import Listed
from ironforge.auth.authenticator import REMEMBERED_SECONDS
from ironforge.auth.callers_schedules import by_key
from ironforge.auth.credentials import KEY_ID
from ironforge.auth.quota import NO_QUOTA
from ironforge.errors import ConfigError, StoreError


@operation("get", "/quotas", access="caller", answers={200: QuotasAnswer})
async def get_quotas(_request: web.Request, scope: CallerScope) -> web.Response:
    """What may be submitted, and how much of it is used."""
    caller, quotas = scope.caller, scope.services.quotas
    # What is stored and in flight is that of all queues together.
    usage = UsageAnswer(**(await quotas.usage())._asdict()) if caller.queues is None else None
    return answer(QuotasAnswer(caller.namespace, quotas.quota, caller.quota, usage))


@operation("get", "/keys", access="keys:admin", answers={200: KeysAnswer})
async def list_keys(_request: web.Request, scope: CallerScope) -> web.Response:
    """List the API keys."""
    listed = await scope.services.api_keys.listed(scope.caller.namespace)
    return answer(KeysAnswer([key_answer(one) for one in listed if scope.caller.sees(one.record.queues)]))


@operation(
    "post",
    "/keys",
    access="keys:admin",
    answers={201: NewKeyAnswer},
    refusals=(409,),
    example={"name": "billing", "scopes": ["jobs:submit", "jobs:read"], "queues": ["invoices"]},
    audited=True,
)
async def create_key(request: web.Request, scope: CallerScope, body: KeyRequest) -> web.Response:
    """Make an API key."""
    try:
        key, record = await scope.services.api_keys.create(
            scope.caller.namespace,
            body.name,
            body.scopes,
            queues=None if body.queues is msgspec.UNSET else body.queues,
            expires_seconds=body.expires_seconds,
            quota=body.quota or NO_QUOTA,
            maker=scope.caller,
        )
    except ConfigError as error:
        raise ApiProblem("invalid_key_request", str(error)) from None
    request[TARGETS] = [key.id]
    made = NewKeyAnswer(
        key.id,
        key.text,
        record.name,
        list(record.scopes),
        None if record.queues is None else list(record.queues),
        optional_rfc3339(record.expires_ms),
        record.quota,
    )
    return answer(made, 201, Cache_Control="no-store")


@operation("delete", "/keys/{key_id}", access="keys:admin", answers={200: RevokedAnswer}, refusals=(404,), audited=True)
async def revoke_key(request: web.Request, scope: CallerScope, query: RevokeQuery) -> web.Response:
    """Revoke an API key."""
    key_id = request.match_info["key_id"]
    if not KEY_ID.match(key_id):
        raise ApiProblem(
            "invalid_key_id",
            f"{key_id[:40]!r} is not the id of a key: expected one such as {KEY_ID_EXAMPLE}",
            field="key_id",
        )
    gone = await scope.services.api_keys.revoke(
        scope.caller.namespace, key_id, children=query.children == "revoke", revoker=scope.caller
    )
    request[TARGETS] = gone
    schedules = None
    with contextlib.suppress(StoreError):  # it is revoked, whatever is wrong with them
        put = await by_key(scope.schedules)
        schedules = sorted(name for one in gone for name in put.get(one, ()))
    return answer(RevokedAnswer(key_id, REMEMBERED_SECONDS, gone[1:], schedules))


@operation("get", "/audit", access="keys:admin", answers={200: AuditPage})
async def list_audit(_request: web.Request, scope: CallerScope, query: AuditQuery) -> web.Response:
    """Who did what, newest first."""
    caller, cursors = scope.caller, scope.services.cursors
    purpose = ("audit", caller.queue_names)
    entries, following = await scope.services.audit.newest(query.limit, cursors.open(query.cursor, *purpose))
    shown = [
        AuditAnswer(
            entry.number,
            rfc3339(entry.at_ms),
            entry.who,
            entry.action,
            entry.target,
            entry.request_id,
            entry.queue,
            list(entry.concerned),
        )
        for entry in entries
        if entry.who == caller.identity or caller.sees(entry.concerned or None)
    ]
    return answer(AuditPage(shown, cursors.seal(following, *purpose)))


def key_answer(listed: Listed) -> KeyAnswer:
    """A key as lists show it."""
    record = listed.record
    return KeyAnswer(
        record.id,
        record.name,
        list(record.scopes),
        None if record.queues is None else list(record.queues),
        rfc3339(record.created_ms),
        optional_rfc3339(record.expires_ms),
        optional_rfc3339(listed.used_ms),
        record.quota,
        record.made_by,
    )
