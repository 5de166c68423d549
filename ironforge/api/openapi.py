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

from ironforge.api.middleware import Handler
from ironforge.api.parsing.bodies import JSON, NDJSON
from ironforge.api.problems import CONTENT_TYPE as PROBLEM
from ironforge.api.routes import Operation, operations
from ironforge.api.schemas import jobs
from ironforge.api.schemas.keys import KEY_ID_EXAMPLE, KEY_ID_PATTERN, KeyRequest
from ironforge.api.schemas.problem import Problem
from ironforge.version import VERSION

_REF: Final = "#/components/schemas/{name}"

_PROMISE: Final = "Accepted means kept; every accepted job runs at least once; it settles exactly once."
_KEY_PATTERN: Final = "^[!-~]([ -~]*[!-~])?$"

_MEANING: Final = {
    200: "done",
    201: "accepted: kept from now on",
    202: "the job is running; its node has been told to stop it",
    400: "the request is wrong; `field` names the culprit",
    401: "no credential, or one that does not count",
    403: "this credential, or the page that calls, may not do that",
    404: "there is no such job",
    408: "the body did not arrive in time",
    409: "the request does not fit the present state",
    413: "too large",
    415: "media type or encoding is not accepted",
    429: "the queue is full, or a quota is used up; repeating later is safe",
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
                            "maxItems": jobs.MAX_BATCH,
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
    "key": {
        "required": True,
        "content": {
            JSON: {
                "schema": {"$ref": _REF.format(name="KeyRequest")},
                "example": {"name": "billing", "scopes": ["jobs:submit", "jobs:read"], "queues": ["invoices"]},
            }
        },
    },
    "retry": {
        "required": False,
        "content": {JSON: {"schema": {"$ref": _REF.format(name="RetryRequest")}, "example": {}}},
    },
}


@cache
def document(*, auth: bool = False) -> dict[str, Any]:
    """The whole document, of an API with or without authentication."""
    calls = operations(auth=auth)
    paths: dict[str, dict[str, Any]] = {}
    for operation in calls:
        paths.setdefault(operation.path, {})[operation.method] = _describe(operation, auth=auth)
    components: dict[str, Any] = {"schemas": _components(calls), "headers": {"X-Request-ID": _REQUEST_ID}}
    if auth:
        components["securitySchemes"] = {_SCHEME: _BEARER}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "IronForge",
            "version": VERSION,
            "description": _PROMISE,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": components,
    }


_REQUEST_ID: Final = {
    "description": "the caller's own id when it is harmless, else a new one",
    "schema": {"type": "string"},
}


_SCHEME: Final = "credential"
_BEARER: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "an API key (`ifk_…`), or a JSON Web Token of a trusted issuer; the namespace comes with it",
}


def serving(*, auth: bool) -> Handler:
    """The handler that gives out the document."""
    encoded = msgspec.json.encode(document(auth=auth))

    async def get_document(_request: web.Request) -> web.Response:
        return web.Response(body=encoded, content_type=JSON)

    return get_document


def _components(calls: Iterable[Operation]) -> dict[str, Any]:
    types: list[Any] = [jobs.JobRequest, jobs.BatchRequest, jobs.RetryRequest, Problem]
    types += [KeyRequest for operation in calls if operation.body == "key"]
    for operation in calls:
        types += [kind for kind in operation.answers.values() if kind not in (None, dict)]
    _schemas, components = msgspec.json.schema_components(dict.fromkeys(types), ref_template=_REF)
    for schema in components.values():
        for described in schema.get("properties", {}).values():
            # Generators take a field with a default for one that is always there, in requests as well.
            described.pop("default", None)
    return components


def _describe(operation: Operation, *, auth: bool) -> dict[str, Any]:
    problems = {400, 403, *operation.problems}  # every call may come from another site's page
    if auth and operation.access != "public":
        problems |= {401, 503} | ({429} if operation.access == "jobs:submit" else set())
    described: dict[str, Any] = {
        "operationId": operation.operation_id,
        "tags": [_tag(operation.path)],
        "summary": operation.summary,
        "parameters": list(_parameters(operation)),
        "responses": {
            **{str(status): _success(status, kind, operation) for status, kind in operation.answers.items()},
            **{str(status): _refusal(status) for status in sorted(problems - set(operation.answers))},
        },
    }
    if operation.body:
        described["requestBody"] = _BODIES[operation.body]
    if auth and operation.access != "public":
        # Scopes of a bearer scheme are roles in OpenAPI 3.1: tools may show them.
        described["security"] = [{_SCHEME: [] if operation.access == "caller" else [operation.access]}]
    return described


def _tag(path: str) -> str:
    """Generators make a group of calls, or a file, of each; what is about the service itself is one."""
    first = path.split("/")[1]
    return first if first in ("jobs", "dlq", "queues", "nodes", "keys", "quotas", "audit") else "service"


def _success(status: int, kind: type | None, operation: Operation) -> dict[str, Any]:
    if kind is None:
        content: dict[str, Any] = {"text/plain": {"schema": {"type": "string"}}}
    elif kind is dict:
        content = {JSON: {"schema": {"type": "object"}}}
    else:
        content = {JSON: {"schema": {"$ref": _REF.format(name=kind.__name__)}}}
    answer: dict[str, Any] = {"description": _MEANING[status], "headers": _headers(), "content": content}
    if kind is jobs.AcceptedJob:
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
    if status == 401:
        refusal["headers"]["WWW-Authenticate"] = {"schema": {"type": "string"}}
    if status in (429, 503):
        refusal["headers"]["Retry-After"] = {"schema": {"type": "string"}, "description": "seconds"}
    return refusal


def _headers() -> dict[str, Any]:
    return {"X-Request-ID": {"$ref": "#/components/headers/X-Request-ID"}}


def _parameters(operation: Operation) -> Iterable[dict[str, Any]]:
    if "{id}" in operation.path:
        schema = {"type": "string", "format": "uuid", "pattern": jobs.ID_PATTERN}
        yield {"name": "id", "in": "path", "required": True, "schema": schema, "example": jobs.ID_EXAMPLE}
    if "{key_id}" in operation.path:
        schema = {"type": "string", "pattern": KEY_ID_PATTERN}
        yield {"name": "key_id", "in": "path", "required": True, "schema": schema, "example": KEY_ID_EXAMPLE}
    if "{queue}" in operation.path:
        schema = {"type": "string", "pattern": jobs.NAME_PATTERN}
        yield {"name": "queue", "in": "path", "required": True, "schema": schema, "example": "default"}
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
