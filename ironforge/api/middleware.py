"""Keeps out what is not for us, gives every request an id, makes every failure a problem, and counts.

One middleware for all of it, because each layer costs every request: the id of a good request is only echoed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import uuid_utils
from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware
from multidict import istr

from ironforge.api.problems import explain, respond
from ironforge.api.responses import REQUEST_ID_OF, SERVER, Answer
from ironforge.api.web_pages import SITE, Site

# Of a request whose caller keeps its body until it is asked for.
HELD_BACK: Final = web.RequestKey("held_back", bool)
_REQUEST_ID: Final = istr("X-Request-ID")
REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
# The same to aiohttp, which makes another kind of request of what is no HTTP.
Answering = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
# Route, method, status, seconds.
OnAnswered = Callable[[str, str, int, float], None]
# What counts for a request to no route of ours, and for one whose caller did not wait for the answer.
UNKNOWN: Final = "unknown"
GONE: Final = 499


def request_id_of(request: web.BaseRequest) -> str:
    """The caller's own id when it is harmless in headers and logs, else a new one."""
    given = request.headers.get(_REQUEST_ID)
    return given if given is not None and REQUEST_ID.match(given) else uuid_utils.uuid7().hex


def guarded_application(*, asks_callers: bool, on_answered: OnAnswered | None = None) -> web.Application:
    """An application that answers to its own site, each time with X-Request-ID, and with application/problem+json for
    every exception.

    `asks_callers`: whoever calls has to show a credential. `on_answered` hears of every request that
    found its way here.
    """
    site = Site(asks_callers=asks_callers)
    application = web.Application(middlewares=[_guarding(site, on_answered)])
    application[SITE] = site
    return application


def direct_handler(application: web.Application, otherwise: Answering) -> Answering:
    """Answers a request to a route without parameters by its handler, inside the middleware of `application`; any other
    as `otherwise` does: aiohttp looks through the routes, and wraps the handler, for each request anew."""
    [middleware] = application.middlewares
    known: dict[tuple[str, str], tuple[web.UrlMappingMatchInfo, Handler]] = {}
    for route in application.router.routes():
        if isinstance(route.resource, web.PlainResource):
            match_info = web.UrlMappingMatchInfo({}, route)
            match_info.add_app(application)
            match_info.freeze()
            known[route.method, route.resource.canonical] = match_info, partial(middleware, handler=route.handler)

    def handle(request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        found = known.get((request.method, request.raw_path))
        if found is None:
            return otherwise(request)
        assert isinstance(request, web.Request)
        request._match_info, handler = found  # noqa: SLF001 - as aiohttp's own
        return handler(request)

    return handle


def _guarding(site: Site, on_answered: OnAnswered | None) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        begun, status = time.perf_counter(), GONE
        request_id = request[REQUEST_ID_OF] = request_id_of(request)
        try:
            site.check(request)
            response = await handler(request)
            if not isinstance(response, Answer):  # which has them from itself
                response.headers[_REQUEST_ID], response.headers[hdrs.SERVER] = request_id, SERVER
            status = response.status
        except ConnectionError:
            raise  # the caller is gone: there is nobody to answer
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a problem
            response = respond(explain(error, request_id), request_id)
            status = response.status
        finally:
            if on_answered is not None:
                resource = request.match_info.route.resource
                route, method = (resource.canonical, request.method) if resource else (UNKNOWN, UNKNOWN)
                on_answered(route, method, status, time.perf_counter() - begun)
        if not request.content.is_eof() and HELD_BACK in request:
            response.force_close()  # what comes next may be the body that was held back, or another request
        return response

    return guard
