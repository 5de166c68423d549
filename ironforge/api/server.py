"""Listens: binds the application to an address, with limits and errors that the contract promises.

aiohttp answers requests that its parser refuses before any application code runs, as text or HTML. To make
these answers problems too, the connection class is ours; this is the one place that builds on aiohttp's
inner structure.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ssl
from collections.abc import Callable
from typing import Any, Final, cast

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy

from ironforge.addresses.authority import is_loopback
from ironforge.api.connection_limits import PunctualConnection, Refusal, affordable, cut_unread
from ironforge.api.middleware import HELD_BACK, direct_handler, request_id_of
from ironforge.api.problems import ApiProblem, explain, respond
from ironforge.api.responses import Answer
from ironforge.api.web_pages import SITE
from ironforge.errors import ConfigError
from ironforge.settings import Settings

MakeRequest = Callable[..., web.BaseRequest]

SHUTDOWN_SECONDS: Final = 10.0
PORT_SETTING: Final = "IRONFORGE_HTTP_PORT"
LOOK_SECONDS: Final = 0.02
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
    shared_port: bool = False,
    port_setting: str = PORT_SETTING,
    shutdown_seconds: float = SHUTDOWN_SECONDS,
) -> web.AppRunner:
    """Start listening; `await runner.cleanup()` stops. `runner.addresses` tells the port when `port` was 0.

    At most `connections` are held at a time, or fewer where there are not enough file descriptors for them.
    `shared_port`: other processes of this user listen on it too, and the system spreads connections over them.

    Raises ConfigError: the address is taken or not ours, or it is public and nobody said that this is wanted.
    """
    check_address(host, allow_public=allow_public)
    app[SITE].listens(host, tls=tls is not None)
    runner = _Runner(app, shutdown_timeout=shutdown_seconds)
    runner.limit, runner.shutdown_seconds = affordable(connections), shutdown_seconds
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=BACKLOG, reuse_port=shared_port, ssl_context=tls).start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigError(cannot_listen(host, port, error, port_setting)) from None
    return runner


def check_address(host: str, *, allow_public: bool) -> None:
    """Raises ConfigError: `host` is public and nobody said that this is wanted."""
    if not allow_public and not is_loopback(host):
        raise ConfigError(
            f"IRONFORGE_HTTP_HOST={host} can be reached from other machines, and the API has no authentication: "
            "set IRONFORGE_AUTH=on, listen on 127.0.0.1 behind a proxy that authenticates, or start with "
            "--i-understand-no-auth"
        )


def cannot_listen(host: str, port: int, error: OSError, port_setting: str = PORT_SETTING) -> str:
    """What to tell the user whose address could not be bound."""
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: stop the other process, or choose another port with {port_setting}"
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
            problem = ApiProblem("malformed_request", f"the request could not be read: {detail}", status=status)
        response = respond(problem, request_id)
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """As aiohttp's own: the answer, and whether the caller is gone."""
        # Behind an offer to speak something else the parser waits until aiohttp has turned it down.
        if not isinstance(resp, Answer) or self._upgraded:
            return await super().finish_response(request, resp, start_time)
        try:
            await request.writer.write(resp.message(request))
            if self.writing_paused:
                await request.writer.drain()
        except ConnectionError:
            return resp, True
        return resp, False

    def reads_body(self) -> bool:
        """Whether a request is being served whose body has not arrived."""
        return self._current_request is not None and not self._current_request.content.is_eof()


def _requests(make_request: MakeRequest) -> MakeRequest:
    """As aiohttp makes them, but each connection knows what it answers by, and an Expect is ours: aiohttp would ask for
    a body that is held back before anybody has looked at the request. Other expectations may be ignored (RFC 9110)."""

    def make(
        message: RawRequestMessage, payload: Any, protocol: Any, writer: AbstractStreamWriter, task: Any
    ) -> web.BaseRequest:
        protocol.answers_by(writer)
        if hdrs.EXPECT not in message.headers:
            return make_request(message, payload, protocol, writer, task)
        headers = CIMultiDict(message.headers)
        expectations = headers.popall(hdrs.EXPECT)
        message = message._replace(headers=CIMultiDictProxy(headers))
        request = make_request(message, payload, protocol, writer, task)
        if "100-continue" in [each.lower() for each in expectations]:
            request[HELD_BACK] = True
        return request

    return make


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
    shutdown_seconds: float

    async def _make_server(self) -> web.Server:
        plain = await super()._make_server()
        handler = direct_handler(self.app, plain.request_handler)
        server = _Server(handler, request_factory=_requests(plain.request_factory))
        server.limit, server.refusals = self.limit, set()
        return server

    async def setup(self) -> None:
        await super().setup()
        self._watch = asyncio.create_task(cut_unread(self._connections), name="unread answers")

    async def cleanup(self) -> None:
        """Stop listening, then let bodies arrive: aiohttp drops them unread from the moment it begins to end."""
        for site in list(self.sites):
            await site.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.shutdown_seconds):
                while any(each.reads_body() for each in self._connections()):
                    await asyncio.sleep(LOOK_SECONDS)
        await super().cleanup()
        self._watch.cancel()

    def _connections(self) -> list[_Connection]:
        connections = self.server.connections if self.server else []
        return [each for each in connections if isinstance(each, _Connection)]
