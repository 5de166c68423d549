"""Turns everything that can go wrong in a request into one RFC 9457 problem.

Status, code and members of a problem are those of the error itself; one that is no refusal is a bug of ours: it is
logged with its traceback under the request id, and the caller learns that id and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec
import uuid_utils
from aiohttp import web

from ironforge.api.responses import SERVER
from ironforge.api.schemas.problem import Problem
from ironforge.codes import Code
from ironforge.errors import Refused
from ironforge.logs.setup import get_logger

CONTENT_TYPE: Final = "application/problem+json"

_log = get_logger(__name__)
_encode: Final = msgspec.json.Encoder().encode


class ApiProblem(Refused):
    """A refusal that only the HTTP API knows. `status`: where it is not the one of its code; `extra`: further members
    of `Problem`."""

    def __init__(
        self,
        code: Code,
        detail: str,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail, code=code)
        self.status = status or self.status
        self.headers = headers or {}
        self.extra = extra

    def facts(self) -> dict[str, Any]:
        return self.extra


def respond(error: Refused, request_id: str) -> web.Response:
    """The answer for `error`."""
    facts = error.facts()
    body = Problem(
        type=f"urn:ironforge:problem:{error.code}",
        title=error.code.replace("_", " ").capitalize(),
        status=error.status,
        detail=error.detail,
        code=cast("Code", error.code),
        request_id=request_id,
        **facts,
    )
    headers = {"Content-Type": CONTENT_TYPE, "X-Request-ID": request_id, "Server": SERVER}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="ironforge"'
    if error.status in (429, 503):
        headers["Retry-After"] = str(max(1, math.ceil(facts.get("retry_seconds", 1))))
    if isinstance(error, ApiProblem):
        headers.update(error.headers)
    return web.Response(status=error.status, body=_encode(body), headers=headers)


def plain(problem: Refused) -> bytes:
    """The whole answer as bytes, for a connection that ends before it has a request."""
    response = respond(problem, uuid_utils.uuid7().hex)
    body = response.body
    assert isinstance(body, bytes)
    head = [f"HTTP/1.1 {response.status} {response.reason}", "Connection: close", f"Content-Length: {len(body)}"]
    head += [f"{name}: {value}" for name, value in response.headers.items()]
    return "\r\n".join([*head, "", ""]).encode() + body


def explain(error: Exception, request_id: str) -> Refused:
    """What `error` is for the caller. Logs it when it is not the caller's."""
    known = _known(error)
    if known is None:
        _log.error("request failed", request_id=request_id, exc_info=error)
        return ApiProblem(
            "internal_error",
            f"IronForge failed on this request; its log has the details under request id {request_id}",
        )
    if known.status >= 500:
        _log.warning("request refused", request_id=request_id, code=known.code, detail=known.detail)
    return known


def _known(error: Exception) -> Refused | None:
    if isinstance(error, web.HTTPException):
        return _from_aiohttp(error)
    if not isinstance(error, Refused):
        return None
    if error.code == "store_refused":
        return ApiProblem("store_refused", f"{error}; `ironforge doctor` says what to do")
    return error


def _from_aiohttp(error: web.HTTPException) -> ApiProblem:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        detail = f"{error.method} is not possible here, but {allowed}"
        return ApiProblem("method_not_allowed", detail, headers={"Allow": allowed})
    if error.status == 404:
        return ApiProblem("not_found", "there is nothing at this path; /openapi.json lists every call")
    return ApiProblem("invalid_request", error.text or error.reason, status=error.status)
