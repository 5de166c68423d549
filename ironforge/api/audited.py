"""Puts on record what a call has done.

The audit trail says what was done, so it is written after a call went well. When that fails the call still went well:
its answer says so, a metric counts it, and the log has what the trail lacks.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from ironforge.api.middleware import REQUEST_ID_OF
from ironforge.api.operations.audit_details import QUEUE, TARGETS
from ironforge.api.routes import Operation
from ironforge.api.tenants import TenantServices
from ironforge.auth import AUDIT_FAILED, AUDIT_HEADER
from ironforge.auth.caller import Caller
from ironforge.logs.setup import get_logger

_log: Final = get_logger(__name__)


async def write_down(
    call: Operation, request: web.Request, response: web.StreamResponse, caller: Caller, services: TenantServices
) -> None:
    """Never raises: there is an answer to give."""
    request_id, who, action = request[REQUEST_ID_OF], caller.identity, call.operation_id
    for target in request.get(TARGETS) or [next(iter(request.match_info.values()), "")]:
        _log.info("audit", who=who, action=action, target=target, request_id=request_id)
        try:
            await services.audit.append(who, action, target, request_id, request.get(QUEUE, ""))
        except Exception as error:  # noqa: BLE001 - whatever it is, the call went well
            _log.error("the audit trail lacks what was logged just before", request_id=request_id, error=str(error))
            services.on_audit_failed()
            response.headers[AUDIT_HEADER] = AUDIT_FAILED
