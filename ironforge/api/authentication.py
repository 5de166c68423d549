"""Stands before every call where there is authentication: who is it, may they, at which desk, is it to be on record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import structlog
from aiohttp import hdrs, web

from ironforge.api.audited import write_down
from ironforge.api.middleware import REQUEST_ID_OF, Handler
from ironforge.api.parsing.large_bodies import CALLER_OF
from ironforge.api.routes import Operation
from ironforge.api.tenants import Desk, Offices, desk_of
from ironforge.auth.api_keys import Keyring
from ironforge.auth.authenticator import Authenticator

Choose = Callable[[Desk], Handler]


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
            request[CALLER_OF] = caller
            structlog.contextvars.bind_contextvars(namespace=caller.namespace)
            caller.require(call.access)
            async with self._offices.visit(caller.namespace) as office:
                if call.access == "jobs:submit":
                    await office.meter.arrives(caller)
                response = await choose(desk_of(caller, office, self._keyring))(request)
                if call.audited:
                    await write_down(call, request, response, caller, office)
            return response

        return handle

    async def run(self, _app: web.Application) -> AsyncIterator[None]:
        """Around the application's life."""
        yield
        await self._offices.close()
