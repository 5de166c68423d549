"""The OpenAPI 3.1 document, generated from the types that validate and answer.

Types say what is in a body; the table of calls adds paths, statuses and summaries. Whether all of it is
true is checked by schemathesis against a running API.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

import msgspec
from aiohttp import web

from ironforge import __version__
from ironforge.api import schemas
from ironforge.api.bodies import JSON, NDJSON
from ironforge.api.calls import OPERATIONS, Operation
from ironforge.api.problems import CONTENT_TYPE as PROBLEM

_REF: Final = "#/components/schemas/{name}"

_PROMISE: Final = "Accepted means kept; every accepted job runs at least once; it settles exactly once."
_KEY_PATTERN: Final = "^[!-~]([ -~]*[!-~])?$"

_MEANING: Final = {
    200: "done",
    201: "accepted: kept from now on",
    202: "the job is running; its node has been told to stop it",
    400: "the request is wrong; `field` names the culprit",
    404: "there is no such job",
    408: "the body did not arrive in time",
    409: "the request does not fit the present state",
    413: "too large",
    415: "media type or encoding is not accepted",
    429: "the queue is full; repeating later is safe",
    500: "a fault of IronForge; its log has the request id",
    503: "the store cannot be used now, is full, or did not keep the jobs safe enough; repeating is safe",
}


_BODIES: Final[dict[str, dict[str, Any]]] = {
    "job": {
        "required": True,
        "content": {
            JSON: {
                "schema": {"$ref": _REF.format(name="JobRequest")},
                "examples": {
                    "small": {"value": {"kind": "email.send", "payload": {"to": "ada@example.com"}}},
                    "full": {
                        "value": {
                            "kind": "report.build",
                            "payload": {"month": "2030-01"},
                            "priority": "high",
                            "queue": "reports",
                            "max_retries": 5,
                            "timeout_seconds": 120,
                            "delay_seconds": 60,
                            "retain_seconds": 86400,
                        }
                    },
                },
            }
        },
    },
    "batch": {
        "required": True,
        "content": {
            JSON: {
                "schema": {
                    "anyOf": [
                        {
                            "type": "array",
                            "items": {"$ref": _REF.format(name="JobRequest")},
                            "minItems": 1,
                            "maxItems": schemas.MAX_BATCH,
                        },
                        {"$ref": _REF.format(name="BatchRequest")},
                    ]
                },
                "example": [{"kind": "demo.echo", "payload": 1}, {"kind": "demo.echo", "payload": 2}],
            },
            NDJSON: {
                "schema": {"type": "string", "description": "one JobRequest a line"},
                "example": '{"kind":"demo.echo","payload":1}\n{"kind":"demo.echo","payload":2}\n',
            },
        },
    },
    "retry": {
        "required": False,
        "content": {JSON: {"schema": {"$ref": _REF.format(name="RetryRequest")}, "example": {}}},
    },
}


@cache
def document() -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _describe(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "IronForge",
            "version": __version__,
            "description": _PROMISE,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {"schemas": _components(), "headers": {"X-Request-ID": _REQUEST_ID}},
    }


_REQUEST_ID: Final = {
    "description": "the caller's own id when it is harmless, else a new one",
    "schema": {"type": "string"},
}


@cache
def _encoded() -> bytes:
    return msgspec.json.encode(document())


async def get_document(_request: web.Request) -> web.Response:
    return web.Response(body=_encoded(), content_type=JSON)


def _components() -> dict[str, Any]:
    types: list[Any] = [schemas.JobRequest, schemas.BatchRequest, schemas.RetryRequest, schemas.Problem]
    for operation in OPERATIONS:
        types += [kind for kind in operation.answers.values() if kind not in (None, dict)]
    _schemas, components = msgspec.json.schema_components(dict.fromkeys(types), ref_template=_REF)
    return components


def _describe(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.operation_id,
        "summary": operation.summary,
        "parameters": list(_parameters(operation)),
        "responses": {
            **{str(status): _success(status, kind, operation) for status, kind in operation.answers.items()},
            **{str(status): _refusal(status) for status in sorted(operation.problems)},
        },
    }
    if operation.body:
        described["requestBody"] = _BODIES[operation.body]
    return described


def _success(status: int, kind: type | None, operation: Operation) -> dict[str, Any]:
    if kind is None:
        content: dict[str, Any] = {"text/plain": {"schema": {"type": "string"}}}
    elif kind is dict:
        content = {JSON: {"schema": {"type": "object"}}}
    else:
        content = {JSON: {"schema": {"$ref": _REF.format(name=kind.__name__)}}}
    answer: dict[str, Any] = {"description": _MEANING[status], "headers": _headers(), "content": content}
    if kind is schemas.AcceptedJob:
        answer["headers"]["Location"] = {"schema": {"type": "string"}, "description": "path of the job"}
        answer["links"] = {
            name: {"operationId": name, "parameters": {"id": "$response.body#/id"}}
            for name in ("getJob", "cancelJob", "retryJob")
        }
    if operation.body in ("job", "batch"):
        answer["headers"]["Idempotency-Replayed"] = {
            "schema": {"type": "string", "const": "true"},
            "description": "this is the answer that an earlier request with the same key got",
        }
    return answer


def _refusal(status: int) -> dict[str, Any]:
    refusal: dict[str, Any] = {
        "description": _MEANING[status],
        "headers": _headers(),
        "content": {PROBLEM: {"schema": {"$ref": _REF.format(name="Problem")}}},
    }
    if status in (429, 503):
        refusal["headers"]["Retry-After"] = {"schema": {"type": "string"}, "description": "seconds"}
    return refusal


def _headers() -> dict[str, Any]:
    return {"X-Request-ID": {"$ref": "#/components/headers/X-Request-ID"}}


def _parameters(operation: Operation) -> Iterable[dict[str, Any]]:
    if "{id}" in operation.path:
        schema = {"type": "string", "format": "uuid", "pattern": schemas.ID_PATTERN}
        yield {"name": "id", "in": "path", "required": True, "schema": schema, "example": schemas.ID_EXAMPLE}
    _schemas, components = msgspec.json.schema_components([operation.query], ref_template=_REF)
    for name, schema in components[operation.query.__name__]["properties"].items():
        yield {"name": name, "in": "query", "required": False, "schema": _not_null(schema, components)}
    if operation.body in ("job", "batch"):
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "repeating a request with the same key replays its first answer",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": _KEY_PATTERN},
        }


def _not_null(schema: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    """A query parameter has no null, and stands alone: references are put in place."""
    plain = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if schema.get("default") is not None:
        plain["default"] = schema["default"]
    for choice in choices:
        plain |= components[choice["$ref"].rpartition("/")[2]] if "$ref" in choice else choice
    return plain
