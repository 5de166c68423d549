"""The HTTP side of a node: `/livez`, `/readyz` and `/metrics`, and nothing else.

A node has no API; an orchestrator and Prometheus still need to ask it how it is. Liveness answers for this
process alone: restarting a node because Redis is away would only add to the outage.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from aiohttp import web

from ironforge.api.middleware import guarded_application
from ironforge.api.problems import CONTENT_TYPE
from ironforge.api.responses import answer
from ironforge.api.server import serve

CONNECTIONS: Final = 256
SHUTDOWN_SECONDS: Final = 1.0


@contextlib.asynccontextmanager
async def probes(
    host: str,
    port: int,
    *,
    problems: Callable[[], Sequence[str]],
    exposition: Callable[[], tuple[bytes, str]],
) -> AsyncIterator[None]:
    """Serve while the block runs; nothing at all when `port` is 0. Ready means that `problems()` is empty.

    No caller is asked for a key: on an address of this machine alone, only its own names are answered to.
    Raises ConfigError when the address cannot be listened on.
    """
    if port == 0:
        yield
        return
    runner = await serve(
        _application(problems, exposition),
        host,
        port,
        allow_public=True,
        connections=CONNECTIONS,
        port_setting="IRONFORGE_NODE_HTTP_PORT",
        shutdown_seconds=SHUTDOWN_SECONDS,
    )
    try:
        yield
    finally:
        await runner.cleanup()


def _application(problems: Callable[[], Sequence[str]], exposition: Callable[[], tuple[bytes, str]]) -> web.Application:
    async def livez(_request: web.Request) -> web.Response:
        return answer({"status": "alive"}, Cache_Control="no-store")

    async def readyz(_request: web.Request) -> web.Response:
        found = list(problems())
        if not found:
            return answer({"status": "ready"}, Cache_Control="no-store")
        problem = {"title": "Not ready", "status": 503, "detail": "; ".join(found), "problems": found}
        return answer(problem, 503, CONTENT_TYPE, Cache_Control="no-store")

    async def metrics(_request: web.Request) -> web.Response:
        body, content_type = exposition()
        return web.Response(body=body, headers={"Content-Type": content_type})

    application = guarded_application(asks_callers=False)
    application.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    return application
