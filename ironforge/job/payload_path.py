"""What stands at a path into a payload, where a kind says that its jobs take a key from there."""

from __future__ import annotations

from typing import Any

import msgspec

from ironforge.codes import Code
from ironforge.errors import InvalidJob


def text_at(payload: Any, path: str, what: str, code: Code) -> str:
    """`payload`: decoded. Raises InvalidJob when there is no text, number or truth value to make a `what` of."""
    value = payload
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if value is None or isinstance(value, dict | list):
        raise InvalidJob(
            f"the payload has no text or number at {path}, from which this kind makes its {what}",
            code=code,
            field="payload",
        )
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
