"""Declares the operations of the HTTP API: what each takes and answers stands above its handler, and nowhere else.

Routes, authentication, audit trail, metrics and the OpenAPI document are made from what is declared here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar, get_type_hints

import msgspec
from aiohttp import web

from ironforge.api.parsing import bodies, requests, strict_json
from ironforge.api.parsing.large_bodies import LARGE_BODIES
from ironforge.api.schemas.jobs import NoQuery
from ironforge.api.scope import CallerScope, RequestScope
from ironforge.auth.caller import Access

Function = TypeVar("Function", bound=Callable[..., Awaitable[web.StreamResponse]])

# For the audit trail, left by a handler beside its answer: what it made or unmade, which may be nothing (without it the
# path says what was meant), and the queues that it was done to.
TARGETS: Final = web.RequestKey("targets", list[str])
QUEUES: Final = web.RequestKey("queues", tuple[str, ...])

# Status of a fault that is not the caller's: of IronForge itself, and of the store.
FAULT: Final = 500
STORE_AWAY: Final = 503


class Content(NamedTuple):
    """One media type of a body. `examples`: the members `example` or `examples` of OpenAPI."""

    type: Any
    examples: Mapping[str, Any]


@dataclass(kw_only=True)
class Operation:
    """A decorator: declares an operation, and registers the coroutine function below it as its handler.

    The handler is called with the request and its scope, and by name with `query` and `body`, decoded into what these
    parameters are annotated with. Its name gives the operation id, the first line of its docstring the summary. One
    that is annotated with CallerScope exists only with authentication.

    `access`: who may call it, where there is authentication. `answers`: the type per successful status; None: not
    JSON. `refusals`, `faults`: statuses with a problem, beside those that follow from the rest. `any_query`: query
    parameters are ignored. `example`: of the decoded body. `body`, by media type: of one that the handler reads itself,
    or takes apart. `audited`: what it does is written down under its id. `keyed`: it takes an idempotency key,
    `conditional`: an ETag. `most_bytes` of a decoded body. `decode`: by which it is, so as to say more of what does not
    fit, and may not be left out; raises InvalidJob. `describes`: further members of its successful answers in
    OpenAPI.
    """

    method: str = field(kw_only=False)
    path: str = field(kw_only=False)
    access: Access
    answers: dict[int, type | None]
    refusals: tuple[int, ...] = ()
    faults: tuple[int, ...] = (FAULT, STORE_AWAY)
    any_query: bool = False
    example: Any = None
    body: Mapping[str, Content] = field(default_factory=dict)
    audited: bool = False
    keyed: bool = False
    conditional: bool = False
    decode: Callable[[bytes], Any] | None = None
    most_bytes: int = bodies.SMALL_BYTES
    describes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __call__(self, function: Function) -> Function:
        hints = get_type_hints(function)
        self.function: Callable[..., Awaitable[web.StreamResponse]] = function
        first, *words = function.__name__.split("_")
        self.operation_id = first + "".join(word.capitalize() for word in words)
        self.summary = (function.__doc__ or "").partition("\n")[0].rstrip(".")
        self.only_with_auth = hints["scope"] is CallerScope
        self.query: type[msgspec.Struct] = hints.get("query", NoQuery)
        self._passes_query = "query" in hints
        self.needs_body = bool(self.body)
        self._decoder: msgspec.json.Decoder[Any] | None = None
        if "body" in hints:
            self._decoder = msgspec.json.Decoder(hints["body"])
            self.body = self.body or {bodies.JSON: Content(hints["body"], {"example": self.example})}
            # One that has nothing but defaults may be left out.
            defaults = not any(each.required for each in msgspec.structs.fields(hints["body"]))
            self.needs_body = self.decode is not None or not defaults
        OPERATIONS.append(self)
        return function

    @property
    def charged(self) -> bool:
        """A call is charged to the rates of its caller's quotas, as a submission, before anything of it is read."""
        return self.access in ("jobs:submit", "events:send")

    async def respond(self, request: web.Request, scope: RequestScope) -> web.StreamResponse:
        """What the handler answers. Raises ApiProblem for a query or body that does not fit."""
        if self.method != "get" and not self.needs_body:
            bodies.json_at_most(request)
        given: dict[str, Any] = {}
        if not self.any_query and (self._passes_query or "?" in request.raw_path):
            query = requests.read_query(request.query, self.query)
            if self._passes_query:
                given["query"] = query
        if self._decoder is not None:
            given["body"] = await self._read_body(request, self._decoder)
        return await self.function(request, scope, **given)

    async def _read_body(self, request: web.Request, decoder: msgspec.json.Decoder[Any]) -> Any:
        if not self.needs_body and not request.body_exists:
            return decoder.type()
        bodies.media_type(request, bodies.JSON)
        if self.most_bytes == bodies.SMALL_BYTES or bodies.is_small(request):
            return self._decoded(decoder, await bodies.read(request))
        large = request.app[LARGE_BODIES]
        with large.room(request) as room:
            body = await bodies.read(request, self.most_bytes, room)
            return await large.in_thread(partial(self._decoded, decoder, body))

    def _decoded(self, decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
        strict_json.canonical(body)
        return requests.decode(decoder, body) if self.decode is None else self.decode(body)


operation = Operation
OPERATIONS: Final[list[Operation]] = []


def operations(*, auth: bool) -> list[Operation]:
    """Those of an API with or without authentication."""
    return [each for each in OPERATIONS if auth or not each.only_with_auth]
