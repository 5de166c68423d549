"""The OpenAPI 3.1 document, generated from the types that validate and answer.

Types say what is in a body; the declarations of operations add paths, statuses and summaries. Whether all of it is
true is checked by schemathesis against a running API.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

import msgspec

from ironforge.api.parsing.bodies import JSON
from ironforge.api.problems import CONTENT_TYPE as PROBLEM
from ironforge.api.routes import Operation, operations
from ironforge.api.schemas import jobs
from ironforge.api.schemas.keys import KEY_ID_EXAMPLE, KEY_ID_PATTERN
from ironforge.api.schemas.problem import Problem
from ironforge.job.checks import NAME_PATTERN
from ironforge.steps.names import MAX_EVENT_CHARACTERS
from ironforge.version import VERSION

_REF: Final = "#/components/schemas/{name}"

_PROMISE: Final = "Accepted means kept; every accepted job runs at least once; it settles exactly once."
_KEY_PATTERN: Final = "^[!-~]([ -~]*[!-~])?$"

# By name: the schema of a path parameter, and an example.
_PATH_PARAMETERS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "id": ({"type": "string", "format": "uuid", "pattern": jobs.ID_PATTERN}, jobs.ID_EXAMPLE),
    "kind": ({"type": "string", "pattern": NAME_PATTERN}, "email.send"),
    "limit": ({"type": "string", "pattern": NAME_PATTERN}, "stripe"),
    "event": ({"type": "string", "minLength": 1, "maxLength": MAX_EVENT_CHARACTERS}, "approved:42"),
    "key_id": ({"type": "string", "pattern": KEY_ID_PATTERN}, KEY_ID_EXAMPLE),
    "queue": ({"type": "string", "pattern": NAME_PATTERN}, "default"),
    "schedule": ({"type": "string", "pattern": NAME_PATTERN}, "report.nightly"),
    "workflow_id": ({"type": "string", "format": "uuid", "pattern": jobs.ID_PATTERN}, jobs.ID_EXAMPLE),
}
_TEXT: Final = {"type": "string"}
_CONDITIONS: Final = {
    "If-Match": "its ETag as the caller saw it, else nothing is changed; *: it has to be there",
    "If-None-Match": "*: it must not be there",
}
_PATH_NAME: Final = re.compile(r"\{(\w+)\}")

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
    412: "it is not as the caller saw it",
    413: "too large",
    415: "media type or encoding is not accepted",
    422: "this installation does not take such a job; `field` names the culprit",
    429: "the queue is full, or a quota is used up; repeating later is safe",
    500: "a fault of IronForge; its log has the request id",
    503: "the store cannot be used now, is full, or did not keep the jobs safe enough; repeating is safe",
}


# First parts of paths that make a group.
_GROUPS: Final = (
    *("jobs", "dlq", "queues", "nodes", "kinds", "limits", "schedules", "events", "workflows"),
    *("keys", "quotas", "audit"),
)


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


def _components(calls: Iterable[Operation]) -> dict[str, Any]:
    types = [Problem, *(content.type for call in calls for content in call.body.values())]
    types += [kind for call in calls for kind in call.answers.values() if kind is not None]
    _schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    for schema in components.values():
        for described in schema.get("properties", {}).values():
            # Generators take a field with a default for one that is always there, in requests as well.
            described.pop("default", None)
    return components


def _describe(operation: Operation, *, auth: bool) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.operation_id,
        "tags": [_tag(operation.path)],
        "summary": operation.summary,
        "parameters": list(_parameters(operation)),
        "responses": {
            **{str(status): _success(status, kind, operation) for status, kind in operation.answers.items()},
            **{str(status): _refusal(status) for status in sorted(_problems(operation, auth=auth))},
        },
    }
    if operation.body:
        content = {name: {"schema": _schema(of.type), **of.examples} for name, of in operation.body.items()}
        described["requestBody"] = {"required": operation.needs_body, "content": content}
    if auth and operation.access != "public":
        # Scopes of a bearer scheme are roles in OpenAPI 3.1: tools may show them.
        described["security"] = [{_SCHEME: [] if operation.access == "caller" else [operation.access]}]
    return described


def _problems(operation: Operation, *, auth: bool) -> set[int]:
    """The statuses of an operation that come with a problem: what its declaration says, and what follows from it."""
    problems = {400, 403, *operation.refusals, *operation.faults}  # every call may come from another site's page
    if operation.conditional:
        problems.add(412)
    if operation.method != "get":
        problems.add(415)
    if operation.body:
        problems |= {408, 413}
    if auth and operation.access != "public":
        problems |= {401, 503} | ({429} if operation.charged else set())
    return problems - set(operation.answers)


def _schema(kind: Any) -> dict[str, Any]:
    (schema,), _components = msgspec.json.schema_components([kind], ref_template=_REF)
    return schema


def _tag(path: str) -> str:
    """Generators make a group of calls, or a file, of each; what is about the service itself is one."""
    first = path.split("/")[1]
    return first if first in _GROUPS else "service"


def _success(status: int, kind: type | None, operation: Operation) -> dict[str, Any]:
    content = {"text/plain": {"schema": {"type": "string"}}} if kind is None else {JSON: {"schema": _schema(kind)}}
    headers = {**_headers(), **operation.describes.get("headers", {})}
    answer = {"description": _MEANING[status], "content": content, **operation.describes, "headers": headers}
    if operation.keyed:
        headers["Idempotency-Replayed"] = {
            "schema": {"type": "string", "const": "true"},
            "description": "this is the answer that an earlier request with the same key got",
        }
    return answer


def _refusal(status: int) -> dict[str, Any]:
    refusal: dict[str, Any] = {
        "description": _MEANING[status],
        "headers": _headers(),
        "content": {PROBLEM: {"schema": _schema(Problem)}},
    }
    if status == 401:
        refusal["headers"]["WWW-Authenticate"] = {"schema": {"type": "string"}}
    if status in (429, 503):
        refusal["headers"]["Retry-After"] = {"schema": {"type": "string"}, "description": "seconds"}
    return refusal


def _headers() -> dict[str, Any]:
    return {"X-Request-ID": {"$ref": "#/components/headers/X-Request-ID"}}


def _parameters(operation: Operation) -> Iterable[dict[str, Any]]:
    for name in _PATH_NAME.findall(operation.path):
        schema, example = _PATH_PARAMETERS[name]
        yield {"name": name, "in": "path", "required": True, "schema": schema, "example": example}
    _schemas, components = msgspec.json.schema_components([operation.query], ref_template=_REF)
    for name, schema in components[operation.query.__name__]["properties"].items():
        yield {"name": name, "in": "query", "required": False, "schema": _not_null(schema, components)}
    for name, description in _CONDITIONS.items() if operation.conditional else ():
        yield {"name": name, "in": "header", "required": False, "description": description, "schema": _TEXT}
    if operation.keyed:
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
