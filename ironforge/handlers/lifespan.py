"""Lifespans: what an application opens before a node's first job and closes after its last, handed to handlers by type.

The type stands in the annotation of the lifespan and not in the value that it yields: a process that only submits runs
no lifespan, and still has to know which parameters of a handler are no fields of its payload.
"""

from __future__ import annotations

import contextlib
import inspect
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from types import NoneType
from typing import Any, Final

import msgspec

from ironforge.errors import ConfigError
from ironforge.handlers.binding import hints_of, is_of_payloads
from ironforge.handlers.names import name_of
from ironforge.job.context import Context

_FORMS: Final = (AsyncIterator, AsyncGenerator, contextlib.AbstractAsyncContextManager)


class Lifespan(msgspec.Struct, frozen=True, eq=False):
    """`open` makes its context manager. `provides`: the annotation of what that yields, None for nothing.

    `takes`: by the names of its own parameters, the earlier lifespans that provide them.
    """

    name: str
    open: Callable[..., contextlib.AbstractAsyncContextManager[Any]]
    provides: Any
    takes: Mapping[str, Lifespan]


# What each lifespan of a running node has yielded.
Provided = Mapping[Lifespan, Any]


def lifespan_of(function: Callable[..., Any], earlier: Sequence[Lifespan]) -> Lifespan:
    """Raises ConfigError when `function` is no lifespan, or provides what an earlier one does."""
    name = name_of(function)
    if inspect.isasyncgenfunction(function):
        opened: Callable[..., Any] = contextlib.asynccontextmanager(function)
    elif inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function) or not callable(function):
        raise ConfigError(f"lifespan {name} must be `async def` with one `yield`, between start and end")
    else:
        opened = function
    provides = _yielded(name, function)
    twin = _provider(provides, earlier)
    if twin is not None:
        raise ConfigError(
            f"lifespan {name} provides the type that {twin.name} provides: tell them apart by a NewType of it"
        )
    return Lifespan(name, opened, provides, _taken(name, function, earlier))


def provided_to(function: Callable[..., Any], lifespans: Sequence[Lifespan]) -> dict[str, Lifespan]:
    """Which parameters of `function` get what which lifespan yields: those annotated with exactly its type."""
    if not lifespans or not hasattr(function, "__annotations__"):  # as methods of built-in types, which hooks may be
        return {}
    hints = hints_of(function, "function")
    providers = {name: _provider(hints.get(name), lifespans) for name in inspect.signature(function).parameters}
    return {name: provider for name, provider in providers.items() if provider is not None}


def _provider(annotation: Any, lifespans: Sequence[Lifespan]) -> Lifespan | None:
    return next((one for one in lifespans if one.provides is not None and one.provides == annotation), None)


def _yielded(name: str, function: Callable[..., Any]) -> Any:
    hint = hints_of(function, "lifespan").get("return")
    if typing.get_origin(hint) not in _FORMS:
        raise ConfigError(
            f"lifespan {name} must say what it yields: annotate it with `-> AsyncIterator[Pool]` (whatever your type "
            "is), or with `-> AsyncIterator[None]` when it yields nothing"
        )
    provides = typing.get_args(hint)[0]
    if provides in (None, NoneType):
        return None
    if provides is Context or is_of_payloads(provides):
        raise ConfigError(
            f"lifespan {name} yields {provides!r}, which payloads and contexts are made of: yield an object of a class "
            "of your own, or annotate it with a NewType"
        )
    return provides


def _taken(name: str, function: Callable[..., Any], earlier: Sequence[Lifespan]) -> dict[str, Lifespan]:
    taken = provided_to(function, earlier)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name not in taken and parameter.default is inspect.Parameter.empty:
            raise ConfigError(f"lifespan {name} takes {parameter.name!r}, which no lifespan before it provides")
    return taken
