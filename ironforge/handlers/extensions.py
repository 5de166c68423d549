"""What an application registers beside its handlers: middleware around runs and submissions, lifespans, hooks."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, Unpack, overload

import msgspec

from ironforge.errors import ConfigError, InvalidJob
from ironforge.handlers.events import EventName, Hook, check_hook
from ironforge.handlers.lifespan import Lifespan, lifespan_of, provided_to
from ironforge.handlers.middleware import Middleware, SubmissionMiddleware
from ironforge.handlers.names import name_of
from ironforge.job.limits import Limit, LimitKeywords, check_limit

Function = TypeVar("Function", bound=Callable[..., Any])


class Extensions:
    def __init__(self) -> None:
        self._middleware: list[Middleware] = []
        self._submission_middleware: list[SubmissionMiddleware] = []
        self._lifespans: list[Lifespan] = []
        self._hooks: list[Hook] = []
        self._limits: dict[str, Limit] = {}
        self._bound: list[Callable[..., Any]] = []
        self._frozen = False

    def middleware(self, function: Function) -> Function:
        """Register `async def middleware(context, call_next)` around every handler, the first outermost."""
        self._middleware.append(self._layer(function, "context"))
        return function

    def submission_middleware(self, function: Function) -> Function:
        """Register `async def middleware(call, call_next)` around every `submit` and `submit_many` of this Forge.

        `call` is a SubmissionCall. The first one registered is the outermost; raising refuses the submission. What
        comes over HTTP passes none of them.
        """
        self._submission_middleware.append(self._layer(function, "call"))
        return function

    def lifespan(self, function: Function) -> Function:
        """Register `async def pool() -> AsyncIterator[Pool]`: each node runs it to its `yield` before its first job,
        and from there to its end after its last.

        Handlers that are registered afterwards get what it yields in parameters annotated with exactly this type, and
        so do later lifespans. The first starts first and ends last. A node whose lifespan fails does not start.
        Raises ConfigError for anything wrong.
        """
        self._check_open("lifespan")
        made = lifespan_of(function, self._lifespans)
        for bound in self._bound:
            if provided_to(bound, [made]):
                raise ConfigError(f"lifespan {made.name} provides what {name_of(bound)} takes: register it before that")
        self._lifespans.append(made)
        return function

    @overload
    def on(self, event: EventName) -> Callable[[Function], Function]: ...

    @overload
    def on(self, event: EventName, function: Function) -> Function: ...

    def on(self, event: EventName, function: Function | None = None) -> Any:
        """Have nodes call the decorated or given function with each such event; `ironforge.events.EVENTS` lists them.

        At most once, best effort, beside the jobs: what a hook raises is logged, and a slow one loses events. Plain
        functions are called in a thread, asynchronous ones on the event loop, for 10 seconds at most.
        Raises ConfigError for an event that there is not.
        """
        check_hook(event, function)
        if function is None:
            return functools.partial(self.on, event)
        self._check_open("hook")
        self._hooks.append(Hook(event, function, self._provided_to(function)))
        return function

    def limit(self, name: str, **given: Unpack[LimitKeywords]) -> None:
        """Define a limit, which nodes announce as they start; an operator's override goes before it. Raises
        ConfigError for anything wrong."""
        self._check_open(f"limit {name}")
        if name in self._limits:
            raise ConfigError(f"limit {name!r} is defined twice")
        limit = Limit(**given)
        try:
            # A struct made in Python has not been checked against its own types.
            self._limits[name] = check_limit(name, msgspec.convert(msgspec.to_builtins(limit), Limit))
        except (InvalidJob, msgspec.ValidationError) as error:
            raise ConfigError(f"limit {name!r}: {error}") from None

    @property
    def limits(self) -> Mapping[str, Limit]:
        """By name, in the order of their definition."""
        return self._limits

    @property
    def hooks(self) -> Sequence[Hook]:
        return tuple(self._hooks)

    @property
    def lifespans(self) -> Sequence[Lifespan]:
        """In the order of their registration."""
        return tuple(self._lifespans)

    def freeze(self) -> Sequence[Middleware]:
        """Called by a node as it starts: nothing can be registered afterwards. Returns the middleware."""
        self._frozen = True
        return tuple(self._middleware)

    def _layer(self, function: Function, first: str) -> Function:
        self._check_open("middleware")
        if not inspect.iscoroutinefunction(function):
            raise ConfigError(f"middleware {name_of(function)} must be `async def`, taking ({first}, call_next)")
        return function

    def _provided_to(self, function: Callable[..., Any], *, in_process: bool = False) -> dict[str, Lifespan]:
        """Its parameters that get what lifespans yield. They are found once: later lifespans provide nothing to it."""
        provided = provided_to(function, self._lifespans)
        for parameter, lifespan in provided.items():
            if in_process:
                raise ConfigError(
                    f"handler {name_of(function)} runs in a process of its own, where there is nothing of lifespan "
                    f"{lifespan.name}: open what {parameter!r} stands for in the handler, or leave executor out"
                )
        self._bound.append(function)
        return provided

    def _check_open(self, what: str) -> None:
        if self._frozen:
            raise ConfigError(f"{what}: a running node takes no more registrations; register when modules are loaded")
