"""What stands at a path into a payload, where a kind says that its jobs take a key from there."""

from __future__ import annotations

from typing import Any

import msgspec

from ironforge.codes import Code
from ironforge.errors import InvalidJob


def text_at(payload: Any, path: str, what: str, code: Code) -> str:
    """`payload`: decoded. Raises InvalidJob when there is no text, number or truth value to make a `what` of; an empty
    text would be the same for all that have none."""
    value = payload
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if value is None or value == "" or isinstance(value, dict | list):
        hint = f"give a text, a number, true or false there, or the {what} with the submission"
        raise InvalidJob(
            f"the payload has no text or number at {path}, from which this kind makes its {what}: {hint}",
            code=code,
            field=pointer_to(path),
            hint=hint,
        )
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def pointer_to(path: str) -> str:
    """As a JSON Pointer into the submission, `/payload/customer/id`."""
    return "/payload/" + path.replace("~", "~0").replace("/", "~1").replace(".", "/")
