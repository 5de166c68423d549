"""How messages call what an application has registered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def name_of(function: Callable[..., Any]) -> str:
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', repr(function))}"
