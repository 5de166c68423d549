"""A handler whose target throttles, which child processes import by name."""

from __future__ import annotations

from ironforge import Throttled


def call(key: str, refused: bool) -> str:
    if refused:
        raise Throttled("target", 3600)
    return key
