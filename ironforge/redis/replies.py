"""Flat lists, as the server and scripts reply with them, read as rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def rows(flat: Sequence[Any], width: int) -> Iterable[tuple[Any, ...]]:
    """`width` values each."""
    return zip(*(flat[at::width] for at in range(width)), strict=True)


def pairs(flat: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
    """Fields and their values, members and their scores."""
    return zip(flat[::2], flat[1::2], strict=True)
