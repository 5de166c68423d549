"""Keeps out what is not for us, gives every request an id, and makes every failure a problem.

One middleware for all three, because each layer costs every request: the id of a good request is only echoed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from typing import Final

import uuid_utils
from aiohttp import web
from aiohttp.typedefs import Middleware

from ironforge.api.problems import SERVER, explain, respond
from ironforge.api.web_pages import SITE, Site

REQUEST_ID_OF: Final = web.RequestKey("request_id", str)
# Of a request whose caller keeps its body until it is asked for.
HELD_BACK: Final = web.RequestKey("held_back", bool)
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


def guarded_application(*, asks_callers: bool, on_answered: OnAnswered | None = None) -> web.Application:
    """An application that answers to its own site, each time with X-Request-ID, and with application/problem+json for
    every exception.

    `asks_callers`: whoever calls has to show a credential. `on_answered` hears of every request that
    found its way here.
    """
    site = Site(asks_callers=asks_callers)
    guard = _guarding(site)
    application = web.Application(middlewares=[guard if on_answered is None else _counting(guard, on_answered)])
    application[SITE] = site
    return application


def _guarding(site: Site) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        request_id = request[REQUEST_ID_OF] = request_id_of(request)
        try:
            site.check(request)
            response = await handler(request)
        except ConnectionError:
            raise  # the caller is gone: there is nobody to answer
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a problem
            response = respond(explain(error, request_id), request_id)
        else:
            response.headers["X-Request-ID"] = request_id
            response.headers["Server"] = SERVER
        if HELD_BACK in request and not request.content.is_eof():
            response.force_close()  # what comes next may be the body that was held back, or another request
        return response

    return guard


def _counting(guard: Middleware, on_answered: OnAnswered) -> Middleware:
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
