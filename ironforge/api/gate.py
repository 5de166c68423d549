"""Stands before every call where there is authentication: who is it, may they, at which desk, and what goes on record.

The audit trail says what was done, so it is written after a call went well. When that fails the call still went well:
the log, which has it too, then says that the trail does not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Final

import structlog
from aiohttp import hdrs, web

from ironforge.api.calls import Operation
from ironforge.api.desks import Desk, Office, Offices, desk_of
from ironforge.api.key_calls import TARGETS
from ironforge.api.middleware import REQUEST_ID_OF, Handler
from ironforge.auth.authenticator import Authenticator
from ironforge.auth.caller import Caller
from ironforge.auth.keyring import Keyring
from ironforge.errors import StoreError
from ironforge.telemetry import get_logger

Choose = Callable[[Desk], Handler]

_log: Final = get_logger(__name__)


class Gate:
    """For one process. `close` after the last request."""

    def __init__(self, authenticator: Authenticator, offices: Offices, keyring: Keyring) -> None:
        self._authenticator = authenticator
        self._offices = offices
        self._keyring = keyring

    def guarding(self, call: Operation, choose: Choose) -> Handler:
        """The handler of `call` for callers who may: `choose` picks it from their desk."""

        async def handle(request: web.Request) -> web.StreamResponse:
            # What is logged on the way names both; the connection's last caller may have been another one.
            structlog.contextvars.unbind_contextvars("namespace")
            structlog.contextvars.bind_contextvars(request_id=request[REQUEST_ID_OF])
            headers = request.headers.getall(hdrs.AUTHORIZATION, [])
            # Of two, a proxy may have looked at the other one.
            caller = await self._authenticator.authenticate(
                headers[0] if len(headers) == 1 else ", ".join(headers) or None
            )
            structlog.contextvars.bind_contextvars(namespace=caller.namespace)
            caller.require(call.access)
            async with self._offices.visit(caller.namespace) as office:
                response = await choose(desk_of(caller, office, self._keyring))(request)
                if call.audited:
                    await _write_down(call, request, caller, office)
            return response

        return handle

    async def run(self, _app: web.Application) -> AsyncIterator[None]:
        """Around the application's life."""
        yield
        await self._offices.close()


async def _write_down(call: Operation, request: web.Request, caller: Caller, office: Office) -> None:
    request_id = request[REQUEST_ID_OF]
    for target in request.get(TARGETS) or [next(iter(request.match_info.values()), "")]:
        _log.info("audit", who=caller.identity, action=call.operation_id, target=target, request_id=request_id)
        try:
            await office.audit.append(caller.identity, call.operation_id, target, request_id)
        except StoreError as error:
            _log.error("the audit trail lacks what was logged just before", request_id=request_id, error=str(error))
