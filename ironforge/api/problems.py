"""Turns everything that can go wrong in a request into one RFC 9457 problem.

The one table below decides status and code of every error; what is not in it is a bug of ours: it is logged
with its traceback under the request id, and the caller learns that id and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import msgspec
import uuid_utils
from aiohttp import web

from ironforge import errors
from ironforge.api.parsing.strict_json import InvalidJson
from ironforge.api.schemas.problem import Problem
from ironforge.codes import Code
from ironforge.job.record import JobState
from ironforge.logs.setup import get_logger

# Without versions, which would tell a caller what it may be worth to try.
SERVER: Final = "ironforge"
CONTENT_TYPE: Final = "application/problem+json"

_RETRY: Final = {"Retry-After": "1"}  # seconds
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="ironforge"'}
_log = get_logger(__name__)
_encode: Final = msgspec.json.Encoder().encode
_BY_CODE: Final[dict[str, int]] = {"payload_too_large": 413, "too_many_values": 413, "invalid_arguments": 422}
_BY_STATUS: Final[dict[int, Code]] = {404: "not_found", 405: "method_not_allowed"}


class ApiProblem(Exception):
    """A refusal that a handler raises. `extra` are further members of `Problem`."""

    def __init__(
        self,
        status: int,
        code: Code,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers or {}
        self.extra = extra


def respond(problem: ApiProblem, request_id: str) -> web.Response:
    """The answer for `problem`."""
    body = Problem(
        type=f"urn:ironforge:problem:{problem.code}",
        title=problem.code.replace("_", " ").capitalize(),
        status=problem.status,
        detail=problem.detail,
        code=problem.code,
        request_id=request_id,
        **problem.extra,
    )
    headers = {"Content-Type": CONTENT_TYPE, "X-Request-ID": request_id, "Server": SERVER, **problem.headers}
    return web.Response(status=problem.status, body=_encode(body), headers=headers)


def plain(problem: ApiProblem) -> bytes:
    """The whole answer as bytes, for a connection that ends before it has a request."""
    response = respond(problem, uuid_utils.uuid7().hex)
    body = response.body
    assert isinstance(body, bytes)
    head = [f"HTTP/1.1 {response.status} {response.reason}", "Connection: close", f"Content-Length: {len(body)}"]
    head += [f"{name}: {value}" for name, value in response.headers.items()]
    return "\r\n".join([*head, "", ""]).encode() + body


def explain(error: Exception, request_id: str) -> ApiProblem:
    """The problem that `error` is for the caller. Logs it when it is not the caller's."""
    known = _known(error)
    if known is None:
        _log.error("request failed", request_id=request_id, exc_info=error)
        return ApiProblem(
            500,
            "internal_error",
            f"IronForge failed on this request; its log has the details under request id {request_id}",
        )
    if known.status >= 500:
        _log.warning("request refused", request_id=request_id, code=known.code, detail=known.detail)
    return known


def invalid(error: errors.InvalidJob | InvalidJson, **extra: Any) -> ApiProblem:
    """A submission that cannot become a job, or a text that is no JSON."""
    path = error.path if isinstance(error, InvalidJson) else error.field
    return ApiProblem(_BY_CODE.get(error.code, 400), _code(error), str(error), field=path, **extra)


def _code(error: errors.InvalidJob | InvalidJson | errors.StoreUnavailable) -> Code:
    """It was one when it was made; what the client raises of it may come from another version."""
    return cast("Code", error.code)


def _known(error: Exception) -> ApiProblem | None:
    return next((translate(error) for kind, translate in _TABLE if isinstance(error, kind)), None)


def _unavailable(error: errors.StoreUnavailable) -> ApiProblem:
    job_ids = list(error.job_ids)
    named = {"job_id": job_ids[0]} if len(job_ids) == 1 else {"job_ids": job_ids} if job_ids else {}
    return ApiProblem(503, _code(error), str(error), headers=_RETRY, **named)


def _from_aiohttp(error: web.HTTPException) -> ApiProblem:
    code: Code = _BY_STATUS.get(error.status, "invalid_request")
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        detail = f"{error.method} is not possible here, but {allowed}"
        return ApiProblem(405, code, detail, headers={"Allow": allowed})
    if error.status == 404:
        return ApiProblem(404, code, "there is nothing at this path; /openapi.json lists every call")
    return ApiProblem(error.status, code, error.text or error.reason)


def _over_quota(error: errors.QuotaExceeded) -> ApiProblem:
    return ApiProblem(
        429,
        "quota_exceeded",
        str(error),
        headers={"Retry-After": str(max(1, math.ceil(error.retry_seconds)))},
        quota=error.quota,
        current=error.current,
        limit=error.limit,
        retry_seconds=error.retry_seconds,
    )


_TABLE: Final[tuple[tuple[type[Exception], Callable[[Any], ApiProblem]], ...]] = (
    (ApiProblem, lambda error: error),
    (InvalidJson, invalid),
    (errors.InvalidJob, invalid),
    (errors.JobNotFound, lambda error: ApiProblem(404, "job_not_found", str(error))),
    (errors.InvalidState, lambda error: ApiProblem(409, "invalid_state", str(error), state=JobState(error.state))),
    (
        errors.IdempotencyConflict,
        lambda error: ApiProblem(409, "idempotency_conflict", str(error), job_id=error.job_id or None),
    ),
    (errors.Unauthenticated, lambda error: ApiProblem(401, error.code, str(error), headers=_CHALLENGE)),
    (errors.Forbidden, lambda error: ApiProblem(403, error.code, str(error))),
    (errors.QuotaExceeded, _over_quota),
    (errors.KeyNotFound, lambda error: ApiProblem(404, "key_not_found", str(error))),
    (errors.TooManyKeys, lambda error: ApiProblem(409, "too_many_keys", str(error))),
    (errors.StoreUnavailable, _unavailable),
    (
        errors.QueueFull,
        lambda error: ApiProblem(
            429,
            "queue_full",
            str(error),
            headers=_RETRY,
            queue=error.queue,
            length=error.length,
            limit=error.limit,
        ),
    ),
    (
        errors.StoreError,
        lambda error: ApiProblem(503, "store_refused", f"{error}; `ironforge doctor` says what to do"),
    ),
    (errors.IncompatibleRecord, lambda error: ApiProblem(500, "incompatible_record", str(error))),
    (web.HTTPException, _from_aiohttp),
)
