"""Stands before every operation where there is authentication: who calls, may they, and what is put on record of it.

Without authentication it does not exist, and no request passes it.
"""

from __future__ import annotations

from typing import Final

import structlog
from aiohttp import hdrs, web

from ironforge.api.middleware import Handler
from ironforge.api.parsing.large_bodies import CALLER_OF
from ironforge.api.responses import REQUEST_ID_OF
from ironforge.api.routes import QUEUES, TARGETS, Operation
from ironforge.api.scope import TenantServices, scope_of
from ironforge.api.tenants import TenantPool
from ironforge.auth import AUDIT_FAILED, AUDIT_HEADER
from ironforge.auth.authenticator import Authenticator
from ironforge.auth.caller import Caller
from ironforge.logs.setup import get_logger

_log: Final = get_logger(__name__)


class AuthenticationMiddleware:
    """For one process."""

    def __init__(self, authenticator: Authenticator, tenants: TenantPool) -> None:
        self._authenticator = authenticator
        self._tenants = tenants

    def guarding(self, operation: Operation) -> Handler:
        """The handler of a request to `operation`, for callers that may."""

        async def handle(request: web.Request) -> web.StreamResponse:
            # What is logged on the way names both; the connection's last caller may have been another one.
            structlog.contextvars.unbind_contextvars("namespace")
            structlog.contextvars.bind_contextvars(request_id=request[REQUEST_ID_OF])
            headers = request.headers.getall(hdrs.AUTHORIZATION, [])
            # Of two, a proxy may have looked at the other one.
            caller = await self._authenticator.authenticate(
                headers[0] if len(headers) == 1 else ", ".join(headers) or None
            )
            request[CALLER_OF] = caller
            structlog.contextvars.bind_contextvars(namespace=caller.namespace)
            caller.require(operation.access)
            with await self._tenants.acquire(caller.namespace) as services:
                if operation.charged:
                    await services.quotas.arrives(caller)
                response = await operation.respond(request, scope_of(caller, services))
                if operation.audited:
                    await _write_down(operation.operation_id, request, response, caller, services)
            return response

        return handle


async def _write_down(
    action: str, request: web.Request, response: web.StreamResponse, caller: Caller, services: TenantServices
) -> None:
    """Put on record what an operation has done, after it went well. When that fails it still went well: its answer says
    so, a metric counts it, and the log has what the audit trail lacks. Never raises: there is an answer to give."""
    request_id, who = request[REQUEST_ID_OF], caller.identity
    for target in request.get(TARGETS, [next(iter(request.match_info.values()), "")]):
        _log.info("audit", who=who, action=action, target=target, request_id=request_id)
        try:
            await services.audit.append(who, action, target, request_id, request.get(QUEUES, ()))
        except Exception as error:  # noqa: BLE001 - whatever it is, the operation went well
            _log.error("the audit trail lacks what was logged just before", request_id=request_id, error=str(error))
            services.on_audit_failed()
            response.headers[AUDIT_HEADER] = AUDIT_FAILED
