"""What stands at a path into a payload, where a kind says that its jobs take a key from there."""

from __future__ import annotations

import msgspec

from ironforge.codes import Code
from ironforge.errors import InvalidJob


def text_at(payload: bytes, path: str, what: str, code: Code) -> str:
    """Raises InvalidJob when there is no text, number or truth value to make a `what` of."""
    value = msgspec.json.decode(payload)
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if value is None or isinstance(value, dict | list):
        raise InvalidJob(
            f"the payload has no text or number at {path}, from which this kind makes its {what}",
            code=code,
            field="payload",
        )
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
