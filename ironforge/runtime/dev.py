"""Composition roots with an HTTP API: `serve_dev` runs everything in one process, `serve_api` the API alone.

`ironforge dev` is no simulation: the same API, node and store as in production, beside a server of its own. The last
part to start ends first, so that the API accepts nothing new while the node drains, and the server outlives both. The
API listens once the node has announced its kinds, so no job comes in without what its kind says of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack

import msgspec
from aiohttp import web

from ironforge.addresses.authority import is_loopback
from ironforge.addresses.web_url import url_of
from ironforge.api.app import create_app
from ironforge.api.authentication import AuthenticationMiddleware
from ironforge.api.server import check_address, serve
from ironforge.handlers.forge import Forge
from ironforge.logs.setup import get_logger
from ironforge.metrics.http import HttpMetrics
from ironforge.metrics.jobs import Metrics
from ironforge.metrics.tenants import NamespaceMetrics, TenantMetrics
from ironforge.process.handler_environment import told_to_handlers
from ironforge.process.thread_pool import aside
from ironforge.runtime.api_server import reserved
from ironforge.runtime.auth_setup import authentication_of
from ironforge.runtime.embedded_server import EmbeddedServer
from ironforge.runtime.node import Node
from ironforge.runtime.parent_pipe import ChildStatus, reporting
from ironforge.runtime.tls import server_context
from ironforge.runtime.unserved import warn_of_unserved_queues
from ironforge.settings import Settings
from ironforge.store import StoreClient
from ironforge.store.server_checks import verify

# Called once with the URL of the API, as soon as it can be used.
OnReady = Callable[[str], None]

log = get_logger(__name__)


async def serve_dev(
    forge: Forge | None, settings: Settings, *, allow_public: bool = False, on_ready: OnReady | None = None
) -> int:
    """Run an API and a node until SIGTERM, SIGINT or SIGHUP; a second signal hurries the node. Returns the exit code.

    Without `settings.redis_url` an embedded server in `settings.data_dir` runs as long. Without a `forge` there is
    no node: jobs wait for the next start.
    Raises ConfigError when a port or the data folder is taken, or the server does not fit.
    """
    async with AsyncExitStack() as stack:
        told = stack.enter_context(_signals())
        if not settings.redis_url:
            server = EmbeddedServer(settings)
            # In a thread: a signal must be heard while a large data folder loads.
            await aside(server.start)
            stack.push_async_callback(aside, server.stop)
            settings = msgspec.structs.replace(settings, redis_url=server.url)
        stack.enter_context(told_to_handlers(settings))
        if told.event.is_set():
            return 0
        if forge is None:
            return await _serve_until_told(settings, told, allow_public=allow_public, on_ready=on_ready)
        return await _serve_with_node(forge, settings, told, allow_public=allow_public, on_ready=on_ready)


async def _serve_with_node(
    forge: Forge, settings: Settings, told: _Told, *, allow_public: bool, on_ready: OnReady | None
) -> int:
    await verify(settings)
    async with AsyncExitStack() as stack:
        # Where its address cannot be had, no node takes jobs that would have to end before that is said.
        check_address(settings.http_host, allow_public=allow_public or settings.auth == "on")
        port = stack.enter_context(reserved(settings.http_host, settings.http_port))
        settings = msgspec.structs.replace(settings, http_port=port)
        node = Node(forge, settings)
        told.then = node.stop

        async def start_node() -> None:
            await node.start()
            stack.push_async_callback(node.close)

        api = _api(
            settings,
            node.metrics,
            allow_public=allow_public,
            before=start_node,
            readiness=node.problems,
            shared_port=True,
        )
        async with api as url:
            ended = asyncio.create_task(node.wait(), name="node")
            if on_ready and not told.event.is_set():
                on_ready(url)
            stopping = asyncio.create_task(told.event.wait())
            await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
        return await ended


async def serve_api(settings: Settings, *, allow_public: bool = False) -> int:
    """Run the API alone until SIGTERM, SIGINT or SIGHUP, or until the parent process is gone; the exit code is 0.

    A parent has other children that listen on the same port.
    Raises ConfigError when the server does not fit, or the address cannot be listened on.
    """
    status = ChildStatus(ready=False, problems=("starting",))

    def on_ready(_url: str) -> None:
        nonlocal status
        status = ChildStatus(ready=True)

    with _signals() as told:
        async with reporting(lambda: status, told.hear) as link:
            return await _serve_until_told(
                settings, told, allow_public=allow_public, on_ready=on_ready, shared_port=link is not None
            )


async def _serve_until_told(
    settings: Settings,
    told: _Told,
    *,
    allow_public: bool,
    on_ready: OnReady | None = None,
    shared_port: bool = False,
) -> int:
    await verify(settings)
    async with _api(
        settings, Metrics(), allow_public=allow_public, own=not shared_port, shared_port=shared_port
    ) as url:
        if on_ready:
            on_ready(url)
        await warn_of_unserved_queues(settings)
        await told.event.wait()
        log.info("api is stopping")
    return 0


class _Told:
    """`event` is set by the first signal that ends; each one also calls `then`, once there is one."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.then: Callable[[], None] = lambda: None

    def hear(self) -> None:
        self.event.set()
        self.then()


@contextlib.contextmanager
def _signals() -> Iterator[_Told]:
    """From here on a signal is heard, and no longer ends the process where it happens to be."""
    told = _Told()
    loop = asyncio.get_running_loop()
    numbers = [signal.SIGTERM, signal.SIGINT]
    # A terminal that is closed leaves no server behind; what `nohup` started outlives its terminal.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, told.hear)
    try:
        yield told
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _warn_of_readable_credentials(host: str) -> None:
    if not is_loopback(host):
        log.warning("credentials travel unencrypted: set IRONFORGE_TLS_CERT, or put a TLS proxy in front")


def _application(
    settings: Settings,
    store_client: StoreClient,
    metrics: Metrics,
    readiness: Callable[[], list[str]] | None,
    authentication: AuthenticationMiddleware | None,
) -> web.Application:
    return create_app(
        settings,
        store_client,
        readiness=readiness,
        exposition=metrics.exposition,
        on_submitted=metrics.submitted,
        on_answered=HttpMetrics(metrics.registry).answered,
        authentication=authentication,
    )


@contextlib.asynccontextmanager
async def _api(
    settings: Settings,
    metrics: Metrics,
    *,
    allow_public: bool,
    before: Callable[[], Awaitable[None]] | None = None,
    readiness: Callable[[], list[str]] | None = None,
    own: bool = True,
    shared_port: bool = False,
) -> AsyncIterator[str]:
    """The API while the block runs; its URL. `before` runs when all is there but the address. `own`: the metrics are of
    all processes that listen there."""
    tls = server_context(settings)
    async with AsyncExitStack() as stack:
        store_client = StoreClient(settings)
        stack.push_async_callback(store_client.close)
        own = own and metrics.namespaces <= {settings.namespace}
        counts = NamespaceMetrics(metrics.registry, settings.namespace)
        home = metrics if own or settings.auth == "off" else TenantMetrics(counts, settings.namespace)
        await stack.enter_async_context(store_client.keeping_time(home.ticks.of(settings.namespace)))
        authentication = await stack.enter_async_context(authentication_of(settings, metrics, counts, own=own))
        if authentication is not None and tls is None:
            _warn_of_readable_credentials(settings.http_host)
        if before is not None:
            await before()
        runner = await serve(
            _application(settings, store_client, metrics, readiness, authentication),
            settings.http_host,
            settings.http_port,
            allow_public=allow_public or authentication is not None,
            tls=tls,
            connections=settings.http_connections,
            shared_port=shared_port,
        )
        stack.push_async_callback(runner.cleanup)
        url = url_of(*runner.addresses[0][:2], tls=tls is not None)
        log.info("api is listening", url=url)
        yield url
