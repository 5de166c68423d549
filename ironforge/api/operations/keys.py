"""The calls on keys, quotas and the audit trail, for the caller's own namespace.

Nobody can hand on more than they hold: see `auth.inheritance`.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from ironforge.api.operations.audit_details import TARGETS
from ironforge.api.parsing import bodies, requests, strict_json
from ironforge.api.parsing.cursors import Cursors
from ironforge.api.problems import ApiProblem
from ironforge.api.responses import answer
from ironforge.api.schemas.jobs import MAX_PAGE, NoQuery
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
from ironforge.auth.api_keys import ApiKeys, Listed
from ironforge.auth.audit import AuditTrail
from ironforge.auth.authenticator import REMEMBERED_SECONDS
from ironforge.auth.caller import Caller
from ironforge.auth.credentials import KEY_ID
from ironforge.auth.quota import NO_QUOTA
from ironforge.auth.quota_enforcer import QuotaEnforcer
from ironforge.errors import ConfigError

_decoder: Final = msgspec.json.Decoder(KeyRequest)


class KeyCalls:
    """Handlers of /keys, /quotas and /audit for one caller."""

    def __init__(
        self, api_keys: ApiKeys, caller: Caller, quotas: QuotaEnforcer, audit: AuditTrail, cursors: Cursors
    ) -> None:
        self._api_keys = api_keys
        self._caller = caller
        self._quotas = quotas
        self._audit = audit
        self._cursors = cursors

    async def get_quotas(self, request: web.Request) -> web.Response:
        requests.read_query(request.query, NoQuery)
        # What is stored and in flight is that of all queues together.
        usage = UsageAnswer(**(await self._quotas.usage())._asdict()) if self._caller.queues is None else None
        return answer(QuotasAnswer(self._caller.namespace, self._quotas.quota, self._caller.quota, usage))

    async def list_keys(self, request: web.Request) -> web.Response:
        requests.read_query(request.query, NoQuery)
        listed = await self._api_keys.listed(self._caller.namespace)
        return answer(KeysAnswer([key_answer(one) for one in listed if self._caller.sees(one.record.queues)]))

    async def create_key(self, request: web.Request) -> web.Response:
        requests.read_query(request.query, NoQuery)
        bodies.media_type(request, bodies.JSON)
        body = await bodies.read(request)
        strict_json.canonical(body)
        wanted = requests.decode(_decoder, body)
        try:
            key, record = await self._api_keys.create(
                self._caller.namespace,
                wanted.name,
                wanted.scopes,
                queues=None if wanted.queues is msgspec.UNSET else wanted.queues,
                expires_seconds=wanted.expires_seconds,
                quota=wanted.quota or NO_QUOTA,
                maker=self._caller,
            )
        except ConfigError as error:
            raise ApiProblem(400, "invalid_key_request", str(error)) from None
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

    async def revoke_key(self, request: web.Request) -> web.Response:
        query = requests.read_query(request.query, RevokeQuery)
        key_id = request.match_info["key_id"]
        if not KEY_ID.match(key_id):
            raise ApiProblem(
                400,
                "invalid_key_id",
                f"{key_id[:40]!r} is not the id of a key: expected one such as {KEY_ID_EXAMPLE}",
                field="key_id",
            )
        gone = await self._api_keys.revoke(
            self._caller.namespace, key_id, children=query.children == "revoke", revoker=self._caller
        )
        request[TARGETS] = gone
        return answer(RevokedAnswer(key_id, REMEMBERED_SECONDS, gone[1:]))

    async def list_audit(self, request: web.Request) -> web.Response:
        query = requests.read_query(request.query, AuditQuery)
        if not 1 <= query.limit <= MAX_PAGE:
            raise ApiProblem(
                400, "invalid_parameter", f"limit {query.limit} is out of range: 1 to {MAX_PAGE}", field="limit"
            )
        purpose = ("audit", None if self._caller.queues is None else sorted(self._caller.queues))
        try:
            place = self._cursors.open(query.cursor, *purpose)
        except ValueError as error:
            raise ApiProblem(400, "invalid_parameter", f"cursor: {error}", field="cursor") from None
        entries, following = await self._audit.newest(query.limit, place)
        shown = [
            AuditAnswer(
                entry.number,
                rfc3339(entry.at_ms),
                entry.who,
                entry.action,
                entry.target,
                entry.request_id,
                entry.queue,
            )
            for entry in entries
            if entry.who == self._caller.identity or self._caller.sees([entry.queue] if entry.queue else None)
        ]
        return answer(AuditPage(shown, self._cursors.seal(following, *purpose)))


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
