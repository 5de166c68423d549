"""Listens: binds the application to an address, with limits and errors that the contract promises.

aiohttp answers requests that its parser refuses before any application code runs, as text or HTML. To make
these answers problems too, the connection class is ours; this is the one place that builds on aiohttp's
inner structure.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import ssl
from typing import Any, Final, cast

from aiohttp import web

from ironforge.api.connections import PunctualConnection, Refusal, affordable
from ironforge.api.middleware import request_id_of
from ironforge.api.problems import ApiProblem, explain, respond
from ironforge.config import Settings
from ironforge.errors import ConfigError

SHUTDOWN_SECONDS: Final = 10.0
BACKLOG: Final = 1024
CONNECTIONS: Final = Settings().http_connections

_CONNECTION: Final[dict[str, Any]] = {
    "access_log": None,
    "keepalive_timeout": 30.0,
    # How long a refused body is read and thrown away, so that the caller gets to see the refusal.
    "lingering_time": 2.0,
    # A compressed body is refused, and must not be unpacked while it is thrown away.
    "auto_decompress": False,
}


async def serve(
    app: web.Application,
    host: str,
    port: int,
    *,
    allow_public: bool = False,
    tls: ssl.SSLContext | None = None,
    connections: int = CONNECTIONS,
) -> web.AppRunner:
    """Start listening; `await runner.cleanup()` stops. `runner.addresses` tells the port when `port` was 0.

    At most `connections` are held at a time, or fewer where there are not enough file descriptors for them.

    Raises ConfigError: the address is taken or not ours, or it is public and nobody said that this is wanted.
    """
    if not allow_public and not is_loopback(host):
        raise ConfigError(
            f"IRONFORGE_HTTP_HOST={host} can be reached from other machines, and the API has no authentication: "
            "set IRONFORGE_AUTH=on, listen on 127.0.0.1 behind a proxy that authenticates, or start with "
            "--i-understand-no-auth"
        )
    runner = _Runner(app, shutdown_timeout=SHUTDOWN_SECONDS)
    runner.limit = affordable(connections)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=BACKLOG, ssl_context=tls).start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigError(_cannot_listen(host, port, error)) from None
    return runner


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`. A name other than localhost may resolve to anything."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: stop the other process, or set IRONFORGE_HTTP_PORT"
    return f"cannot listen on {host} port {port}: {error.strerror or error}"


class _Connection(PunctualConnection):
    """One client's connection; what its parser refuses becomes a problem."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0 or isinstance(exc, ConnectionError):
            raise ConnectionError("the answer has begun, or the caller is gone")  # aiohttp only hangs up
        request_id = request_id_of(request)
        if status >= 500 and isinstance(exc, Exception):
            problem = explain(exc, request_id)
        else:
            detail = " ".join((message or "it is not HTTP").split())[:300]
            problem = ApiProblem(status, "malformed_request", f"the request could not be read: {detail}")
        response = respond(problem, request_id)
        response.force_close()
        return response


class _Server(web.Server):
    limit: int
    refusals: set[Refusal]

    def __call__(self) -> web.RequestHandler:
        if len(self._connections) >= self.limit:
            # Any protocol will do for the event loop; aiohttp has one of its own in mind.
            return cast("web.RequestHandler", Refusal(self.limit, self.refusals))
        return _Connection(self, loop=asyncio.get_running_loop(), **_CONNECTION)


class _Runner(web.AppRunner):
    limit: int

    async def _make_server(self) -> web.Server:
        plain = await super()._make_server()
        server = _Server(plain.request_handler, request_factory=plain.request_factory)
        server.limit, server.refusals = self.limit, set()
        return server
