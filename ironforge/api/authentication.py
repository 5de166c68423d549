"""Stands before every call where there is authentication: who is it, may they, at which desk, is it to be on record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import structlog
from aiohttp import hdrs, web

from ironforge.api.audited import write_down
from ironforge.api.middleware import REQUEST_ID_OF, Handler
from ironforge.api.parsing.large_bodies import CALLER_OF
from ironforge.api.routes import Operation
from ironforge.api.tenants import RequestScope, TenantPool, scope_of
from ironforge.auth.api_keys import ApiKeys
from ironforge.auth.authenticator import Authenticator

Choose = Callable[[RequestScope], Handler]


class AuthenticationMiddleware:
    """For one process. `close` after the last request."""

    def __init__(self, authenticator: Authenticator, tenants: TenantPool, api_keys: ApiKeys) -> None:
        self._authenticator = authenticator
        self._tenants = tenants
        self._api_keys = api_keys

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
            async with self._tenants.acquire(caller.namespace) as services:
                if call.access == "jobs:submit":
                    await services.quotas.arrives(caller)
                response = await choose(scope_of(caller, services, self._api_keys))(request)
                if call.audited:
                    await write_down(call, request, response, caller, services)
            return response

        return handle

    async def run(self, _app: web.Application) -> AsyncIterator[None]:
        """Around the application's life."""
        yield
        await self._tenants.close()
