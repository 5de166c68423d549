"""The Forge: an application's handlers by kind, what is around them, and submission of jobs from Python.

A handler stays the plain function it was: registering it wraps nothing, so tests call it directly.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Literal, Self, Unpack, get_args

import msgspec

from ironforge.errors import ConfigError, InvalidJob, UnknownKind
from ironforge.formats.duration import Duration
from ironforge.handlers.binding import Binder, binder_of
from ironforge.handlers.extensions import Function
from ironforge.handlers.lifespan import Lifespan
from ironforge.handlers.middleware import SubmissionCall, through
from ironforge.handlers.names import check_free, name_of, no_handler
from ironforge.handlers.process_target import target_of
from ironforge.handlers.submission import SubmissionBuilder, Submitter, each_of
from ironforge.handlers.workflows import SubmitsWorkflows
from ironforge.job.checked_options import CheckedOptions
from ironforge.job.checks import KEEP_SECONDS, check_event_name, check_event_payload, check_keep, check_kind
from ironforge.job.definition import VersionPolicy, check_policy
from ironforge.job.json_values import encode, encode_payload
from ironforge.job.options import (
    JobKeywords,
    JobOptions,
    KindKeywords,
    SubmissionKeywords,
    at_door,
    check_names,
    options_of,
)
from ironforge.job.payload_schema import compile_schema
from ironforge.job.retry import Backoff
from ironforge.job.uniqueness import JobIds
from ironforge.settings import Settings
from ironforge.store import Producer, Submission

ExecutorName = Literal["async", "thread", "process"]
_CHOICES = ("auto", *get_args(ExecutorName))


class Handler(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A registered function.

    `options`: what a submission of this kind gets where it says nothing itself.
    `provided`: by name, the parameters that get what a lifespan yields.
    `schema`: that of the payload, where the application gives one of its own.
    `version_policy`: which versions of the application go on with a job that one of them has begun.
    """

    kind: str
    function: Callable[..., Any]
    executor: ExecutorName
    binder: Binder
    provided: Mapping[str, Lifespan]
    options: JobOptions
    backoff: Backoff
    schema: Mapping[str, Any] | None = None
    version_policy: VersionPolicy = "any"

    @functools.cached_property
    def at_door(self) -> CheckedOptions:
        """Those of its options that are resolved as a job is submitted, checked."""
        return at_door(self.options)

    def payload_schema(self) -> Mapping[str, Any] | None:
        """The given one, or that of the signature; None: anything may fit."""
        return self.binder.payload_schema() if self.schema is None else self.schema


class Forge(SubmitsWorkflows):
    """`settings`: None reads the environment when the first job is submitted."""

    def __init__(self, settings: Settings | None = None, *, producer: Producer | None = None) -> None:
        super().__init__()
        self._door = Submitter(settings, producer)
        self.as_announced = self._door.as_announced
        self._handlers: dict[str, Handler] = {}
        self._kinds: dict[Callable[..., Any], str] = {}

    # ----------------------------------------------------------------------- registration

    def job(
        self,
        kind: str,
        *,
        executor: Literal["auto", "async", "thread", "process"] = "auto",
        backoff: Backoff | None = None,
        strict: bool = False,
        schema: Mapping[str, Any] | None = None,
        version_policy: VersionPolicy = "any",
        **given: Unpack[KindKeywords],
    ) -> Callable[[Function], Function]:
        """Register the decorated function as the handler of `kind`. Raises ConfigError for anything wrong.

        `executor`: async functions run on the event loop, also those that a decorator has wrapped; others in a thread;
        "process" is for CPU work. What any of them returns is awaited if it can be. `strict`: payloads with fields that
        the handler does not name are refused; else these are ignored. `schema`: JSON Schema of the payload, by which
        doors check in place of the one that is made of the signature. `version_policy`: "same" has a job that has run
        once wait for a node with the same version of the application, `IRONFORGE_APP_VERSION`.
        """
        check_names(f"@forge.job({kind!r})", given, KindKeywords)
        _check_backoff(kind, backoff)
        options = _checked(kind, given)
        _check_schema(kind, schema)
        check_policy(kind, version_policy)

        def register(function: Function) -> Function:
            runs_in = _executor_of(function, executor)
            provided = self._provided_to(function, in_process=runs_in == "process")
            self._add(
                Handler(
                    kind=kind,
                    function=function,
                    executor=runs_in,
                    binder=binder_of(function, provided, strict=strict),
                    provided=provided,
                    options=options,
                    backoff=Backoff() if backoff is None else backoff,
                    schema=schema,
                    version_policy=version_policy,
                )
            )
            return function

        return register

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(self._handlers)

    def handler(self, kind: str) -> Handler:
        """Raises UnknownKind, with the closest names."""
        try:
            return self._handlers[kind]
        except KeyError:
            raise UnknownKind(no_handler(kind, self._handlers)) from None

    def _add(self, handler: Handler) -> None:
        self._check_open(handler.kind)
        check_free(handler.kind, handler.function, self._handlers)
        self._handlers[handler.kind] = handler
        self._kinds.setdefault(handler.function, handler.kind)

    # ----------------------------------------------------------------------- submission

    def prepare(
        self, kind: str | Callable[..., Any], payload: object = None, /, **given: Unpack[SubmissionKeywords]
    ) -> Submission:
        """A checked submission for `submit_many`; nothing is sent. Options not given come from the kind, when it is.

        Raises InvalidJob, InvalidPayload, SerializationError; UnknownKind for a function that is no handler.
        """
        check_names("a submission", given, SubmissionKeywords)
        name, handler = self._known(kind)
        return _builder(name, handler, given).submission(_encoded(handler, payload))

    async def submit(
        self, kind: str | Callable[..., Any], payload: object = None, /, **given: Unpack[SubmissionKeywords]
    ) -> str:
        """Submit one job, checked as `prepare` does; its id. Raises IdempotencyConflict, QueueFull, StoreUnavailable.

        A given `id` makes the call safe to repeat: a known id is answered, not stored twice.
        """
        return (await self._submit(SubmissionKeywords, kind, [payload], given))[0]

    async def submit_many(
        self, kind: str | Callable[..., Any], payloads: Iterable[object], /, **given: Unpack[JobKeywords]
    ) -> JobIds:
        """Submit all or none, with the same options; an item made by `prepare` is taken as it is. Of the ids
        `deduplicated` has the indexes of those that stand for a job which has their unique key."""
        return await self._submit(JobKeywords, kind, payloads, given)

    async def send_event(self, name: str, payload: object = None, /, *, keep_seconds: Duration = KEEP_SECONDS) -> bool:
        """Have jobs that wait for this event go on, also those that come to wait within `keep_seconds`; whether it is
        the first of its name. Raises InvalidJob, SerializationError, StoreUnavailable."""
        event = check_event_name(name), check_event_payload(encode(payload, "payload")), check_keep(keep_seconds)
        return await self._door.send_event(*event)

    def _submit(
        self, allowed: type, kind: str | Callable[..., Any], payloads: Iterable[object], given: Mapping[str, Any]
    ) -> Awaitable[JobIds]:
        """Through the middleware for submissions, where there is any."""
        if not self._submission_middleware:
            return self._send(allowed, kind, payloads, given)
        call = SubmissionCall(self._known(kind)[0], list(payloads), dict(given))
        return through(
            self._submission_middleware, call, lambda: self._send(allowed, call.kind, call.payloads, call.options)
        )

    def _send(
        self, allowed: type, kind: str | Callable[..., Any], payloads: Iterable[object], given: Mapping[str, Any]
    ) -> Awaitable[JobIds]:
        check_names("a submission" if allowed is SubmissionKeywords else "a batch", given, allowed)
        name, handler = self._known(kind)
        builder = _builder(name, handler, given)
        items = each_of(list(payloads), lambda item: item if isinstance(item, Submission) else _encoded(handler, item))
        return self._door.submit(items, builder)

    def _known(self, kind: str | Callable[..., Any]) -> tuple[str, Handler | None]:
        """The name of a kind, and its handler if it is registered here."""
        if isinstance(kind, str):
            return check_kind(kind), self._handlers.get(kind)
        try:
            name = self._kinds[kind]
        except (KeyError, TypeError):
            raise UnknownKind(f"{name_of(kind)} is no handler of this Forge: register it, or pass a kind") from None
        return name, self._handlers[name]

    async def close(self) -> None:
        """Close the connection, if one was opened. The next submission opens a new one."""
        await self._door.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _builder(name: str, handler: Handler | None, given: Mapping[str, Any]) -> SubmissionBuilder:
    """Makes submissions of one kind with the same options, which are checked only once."""
    if handler is None:
        return SubmissionBuilder(name, given)
    return SubmissionBuilder(name, given, handler.options, handler.at_door)


def _encoded(handler: Handler | None, payload: object) -> bytes:
    """Raises InvalidPayload, SerializationError."""
    encoded = encode_payload(payload)
    if handler is not None:
        handler.binder.bind(encoded)
    return encoded


def _check_backoff(kind: str, backoff: object) -> None:
    if not (backoff is None or isinstance(backoff, Backoff)):
        raise ConfigError(f"@forge.job({kind!r}): backoff must be a Backoff, not {type(backoff).__name__}")


def _checked(kind: str, given: KindKeywords) -> JobOptions:
    """The kind's defaults; what is wrong in a program is a ConfigError, not the submitter's mistake."""
    try:
        check_kind(kind)
        options = options_of(given)
        options.checked()
    except InvalidJob as error:
        raise ConfigError(f"@forge.job({kind!r}): {error}") from None
    return options


def _check_schema(kind: str, schema: Mapping[str, Any] | None) -> None:
    if schema is None:
        return
    if not isinstance(schema, Mapping):
        raise ConfigError(f"@forge.job({kind!r}): schema must be a dict, not {type(schema).__name__}")
    try:
        compile_schema(schema)
    except ValueError as error:
        raise ConfigError(f"@forge.job({kind!r}): this is no JSON Schema: {error}") from None


def _executor_of(function: Callable[..., Any], choice: str) -> ExecutorName:
    if not (inspect.isfunction(function) or inspect.ismethod(function)):
        raise ConfigError(f"a handler must be a function, not {type(function).__name__} {function!r:.80}")
    name = name_of(function)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(f"handler {name} yields: a handler returns its result once")
    is_async = inspect.iscoroutinefunction(function)
    match choice, is_async:
        case ("auto" | "async", True):
            return "async"
        case ("auto" | "async", False) if inspect.iscoroutinefunction(inspect.unwrap(function)):
            return "async"
        case ("auto" | "thread", False):
            return "thread"
        case ("process", False):
            target_of(function)
            return "process"
        case ("thread" | "process", True):
            raise ConfigError(
                f"handler {name} is `async def` and runs on the event loop: executor={choice!r} needs `def`"
            )
        case ("async", False):
            raise ConfigError(f"handler {name} would block the event loop: make it `async def`, or leave executor out")
    raise ConfigError(f"handler {name}: executor {choice!r} is not one of {', '.join(_CHOICES)}")
