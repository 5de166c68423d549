"""What an answer that refuses is raised as: the error that `forge` raises for the same reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ironforge import errors
from ironforge.errors import Refused
from ironforge.schedules import errors as schedule_errors
from ironforge.steps import errors as step_errors
from ironforge.workflows import errors as workflow_errors

# Everything that msgspec lets out of itself for bytes that are no JSON.
UNREADABLE: Final = (msgspec.MsgspecError, RecursionError, ValueError)

# By the code that belongs to one error alone, or else by the status. To whoever asks over HTTP a server that refused
# (StoreError) and one that cannot be used are the same: the API's store is out of order.
_OF_CODE: Final[dict[str, type[Refused]]] = {
    kind.code: kind
    for module in (errors, schedule_errors, step_errors, workflow_errors)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Refused) and "code" in vars(kind) and kind is not errors.StoreError
} | {"invalid_payload": errors.InvalidPayload}  # by an announced schema, the error's own code by the handler
_OF_STATUS: Final[dict[int, type[Refused]]] = {
    400: errors.InvalidJob,
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    413: errors.InvalidJob,
    422: errors.InvalidJob,
    503: errors.StoreUnavailable,
}


def refused(status: int, problem: Mapping[str, Any]) -> Refused:
    """`problem`: the document, or what of it there is; a foreign one may hold anything."""
    code, detail, hint = (
        value if isinstance(value := problem.get(name), str) else "" for name in ("code", "detail", "hint")
    )
    kind = _OF_CODE.get(code) or _OF_STATUS.get(status, Refused)
    code = code or f"http_{status}"
    words = detail if hint in detail else f"{detail}: {hint}"
    error = kind.__new__(kind, f"{words} ({status} {code})")
    error.code, error.status, error.detail, error.problem = code, status, detail, problem
    error.take(problem)
    return error


def refusal(status: int, content: bytes) -> Refused:
    """Of the body of an answer; a proxy's own page becomes an error with its first words."""
    try:
        problem = msgspec.json.decode(content, type=dict[str, Any])
    except UNREADABLE:
        problem = {"detail": content[:200].decode(errors="replace")}
    return refused(status, problem)
