"""Gives every request an id and makes every failure a problem.

One middleware for both, because each layer costs every request: the id of a good request is only echoed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from typing import Final

import uuid_utils
from aiohttp import web
from aiohttp.typedefs import Middleware

from ironforge.api.problems import explain, respond

REQUEST_ID_OF: Final = web.RequestKey("request_id", str)
REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
# Route, method, status, seconds.
OnAnswered = Callable[[str, str, int, float], None]
# What counts for a request to no route of ours, and for one whose caller did not wait for the answer.
UNKNOWN: Final = "unknown"
GONE: Final = 499


def request_id_of(request: web.BaseRequest) -> str:
    """The caller's own id when it is harmless in headers and logs, else a new one."""
    given = request.headers.get("X-Request-ID")
    return given if given is not None and REQUEST_ID.match(given) else uuid_utils.uuid7().hex


def guarding(on_answered: OnAnswered | None) -> Middleware:
    """The middleware of an application. `on_answered` hears of every request that found its way here."""
    if on_answered is None:
        return guard

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        begun = time.perf_counter()
        status = GONE
        try:
            response = await guard(request, handler)
            status = response.status
            return response
        finally:
            resource = request.match_info.route.resource
            route, method = (resource.canonical, request.method) if resource else (UNKNOWN, UNKNOWN)
            on_answered(route, method, status, time.perf_counter() - begun)

    return count


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every answer carries X-Request-ID; every exception becomes application/problem+json."""
    request_id = request[REQUEST_ID_OF] = request_id_of(request)
    try:
        response = await handler(request)
    except ConnectionError:
        raise  # the caller is gone: there is nobody to answer
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a problem
        return respond(explain(error, request_id), request_id)
    response.headers["X-Request-ID"] = request_id
    return response


async def expect(_request: web.Request) -> None:
    """A body that its caller holds back is asked for where it is read; other expectations may be ignored (RFC 9110)."""
