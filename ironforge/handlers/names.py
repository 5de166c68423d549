"""How messages call what an application has registered."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from ironforge.errors import ConfigError
from ironforge.workflows.jobs import MAP_KIND


class Named(Protocol):
    @property
    def function(self) -> Callable[..., Any]: ...


def name_of(function: Callable[..., Any]) -> str:
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', repr(function))}"


def no_handler(kind: str, known: Iterable[str]) -> str:
    """With the closest of the kinds that are known."""
    names = sorted(known)
    close = difflib.get_close_matches(kind, names, n=3)
    if close:
        return f"no handler for kind {kind!r}: did you mean {' or '.join(repr(name) for name in close)}?"
    if not names:
        return f"no handler for kind {kind!r}: this application registers no kinds at all"
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"no handler for kind {kind!r}: this application knows {', '.join(names[:10])}{more}"


def check_free(kind: str, function: Callable[..., Any], known: Mapping[str, Named]) -> None:
    """Raises ConfigError for a kind that another function has, or that every node runs."""
    if kind == MAP_KIND:
        raise ConfigError(f"every node runs kind {kind!r} already: give {name_of(function)} another one")
    if kind in known:
        raise ConfigError(
            f"kind {kind!r} is registered twice: by {name_of(known[kind].function)} and by {name_of(function)}"
        )
