"""What a lifespan provides, and to which parameters; what is no lifespan is said at once."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any, NewType

import pytest

from ironforge import ConfigError, Context, Forge, InvalidPayload
from ironforge.execution.executor import Executor
from ironforge.job.options import JobOptions
from ironforge.job.record import decode, encode
from ironforge.settings import Settings


class Pool:
    def __init__(self, name: str = "") -> None:
        self.name = name


class OtherPool(Pool): ...


@dataclass
class Config:
    """One that a payload could be as well."""

    limit: int


@dataclass
class Mail:
    to: str


Replica = NewType("Replica", Pool)
Marked = Annotated[Pool, "marked"]


def forge_with(*provided: Any) -> Forge:
    """A Forge with a lifespan for each of these types."""
    forge = Forge()
    for number, annotation in enumerate(provided):
        forge.lifespan(lifespan(annotation, f"lifespan_{number}"))
    return forge


def lifespan(annotation: Any, name: str = "opened") -> Callable[[], AsyncIterator[Any]]:
    async def opened() -> AsyncIterator[Any]:
        yield None

    opened.__annotations__["return"] = AsyncIterator[annotation]
    opened.__qualname__ = name
    return opened


async def result_of(forge: Forge, payload: bytes, *values: Any) -> Any:
    executor = Executor(forge, Settings(), "node-1", dict(zip(forge.lifespans, values, strict=True)))
    try:
        outcome = await executor.run(executor.prepare(encode(JobOptions().checked().job("k", payload))))
        return decode(outcome.record).result if outcome.record else outcome.job
    finally:
        await executor.close()


async def test_a_handler_gets_what_is_provided_beside_its_payload_and_context():
    forge = forge_with(Pool)

    @forge.job("k")
    async def handler(mail: Mail, pool: Pool, context: Context) -> str:
        return f"{mail.to} {pool.name} {context.kind}"

    assert await result_of(forge, b'{"to":"ada"}', Pool("main")) == b'"ada main k"'


async def test_a_handler_in_a_thread_gets_it_too():
    forge = forge_with(Pool)

    @forge.job("k")
    def handler(to: str, *, pool: Pool) -> str:
        return f"{to} {pool.name}"

    assert await result_of(forge, b'{"to":"ada"}', Pool("main")) == b'"ada main"'


async def test_each_parameter_gets_the_one_of_exactly_its_annotation():
    forge = forge_with(Pool, OtherPool, Replica, Marked, dict[str, Pool])

    @forge.job("k")
    async def handler(a: dict[str, Pool], b: Marked, c: Replica, d: OtherPool, e: Pool) -> str:
        return " ".join(one.name for one in (a["x"], b, c, d, e))

    values = (Pool("plain"), OtherPool("other"), Replica(Pool("replica")), Pool("marked"), {"x": Pool("generic")})
    assert await result_of(forge, b"{}", *values) == b'"generic marked replica other plain"'


async def test_a_type_that_is_provided_is_never_taken_from_the_payload():
    forge = forge_with(Config)

    @forge.job("k")
    async def handler(config: Config) -> int:
        return config.limit

    assert await result_of(forge, b'{"limit":2}', Config(1)) == b"1"


async def test_what_is_provided_is_no_field_of_a_submission():
    forge = forge_with(Pool)

    @forge.job("k", strict=True)
    async def handler(to: str, pool: Pool) -> None: ...

    assert forge.prepare("k", {"to": "ada"}).job.payload == b'{"to":"ada"}'
    with pytest.raises(InvalidPayload, match="unknown field, expected to"):
        forge.prepare("k", {"to": "ada", "pool": 1})


async def test_a_parameter_of_a_subclass_or_base_class_is_not_provided():
    forge = forge_with(OtherPool)

    async def handler(pool: Pool) -> None: ...

    with pytest.raises(ConfigError, match=r"cannot be built from JSON; a lifespan that yields it must stand before"):
        forge.job("k")(handler)


def test_a_process_has_nothing_of_a_lifespan():
    forge = forge_with(Pool)
    with pytest.raises(ConfigError, match="runs in a process of its own, where there is nothing of lifespan"):
        forge.job("k", executor="process")(in_process)


def in_process(pool: Pool) -> None: ...


def test_a_lifespan_stands_before_the_handlers_that_take_what_it_provides():
    forge = Forge()

    @forge.job("k")
    async def handler(config: Config) -> None: ...

    with pytest.raises(ConfigError, match=r"provides what .*handler takes: register it before"):
        forge.lifespan(lifespan(Config))
    assert forge.lifespans == ()
    forge.lifespan(lifespan(Pool))
    assert len(forge.lifespans) == 1


def test_the_usual_forms_of_a_lifespan_are_taken():
    forge = Forge()

    @forge.lifespan
    async def generator() -> AsyncGenerator[Pool, None]:
        yield Pool()

    @forge.lifespan
    @contextlib.asynccontextmanager
    async def manager() -> AsyncIterator[OtherPool]:
        yield OtherPool()

    @forge.lifespan
    def opened() -> contextlib.AbstractAsyncContextManager[Config]:
        return contextlib.nullcontext(Config(1))

    for _ in range(2):
        forge.lifespan(lifespan(None))

    assert [one.provides for one in forge.lifespans] == [Pool, OtherPool, Config, None, None]


async def plain_coroutine() -> AsyncIterator[Pool]:
    raise NotImplementedError


def plain_generator() -> AsyncIterator[Pool]:
    yield Pool()  # type: ignore[misc]


async def says_nothing():
    yield Pool()


async def takes_what_nobody_provides(pool: Pool) -> AsyncIterator[Config]:
    yield Config(1)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (plain_coroutine, "plain_coroutine must be `async def` with one `yield`"),
        (plain_generator, "plain_generator must be `async def` with one `yield`"),
        ("text", "must be `async def`"),
        (says_nothing, "says_nothing must say what it yields: annotate it with `-> AsyncIterator"),
        (takes_what_nobody_provides, "takes 'pool', which no lifespan before it provides"),
        (lifespan(str), "yields <class 'str'>, which payloads and contexts are made of"),
        (lifespan(dict[str, int]), "which payloads and contexts are made of"),
        (lifespan(Any), "which payloads and contexts are made of"),
        (lifespan(Context), "which payloads and contexts are made of"),
        (lifespan("Unknown"), "lifespan .*opened.* has an annotation that cannot be resolved"),
    ],
)
def test_what_is_no_lifespan_is_said_when_it_is_registered(function: Any, message: str):
    with pytest.raises(ConfigError, match=message):
        Forge().lifespan(function)


def test_two_lifespans_of_one_type_are_told_apart_by_a_new_type():
    forge = forge_with(Pool, Replica)
    with pytest.raises(ConfigError, match=r"opened provides the type that .*lifespan_0 provides: .* by a NewType"):
        forge.lifespan(lifespan(Pool))


def test_a_node_that_runs_takes_no_more_lifespans():
    forge = Forge()
    forge.freeze()
    with pytest.raises(ConfigError, match="a running node takes no more registrations"):
        forge.lifespan(lifespan(Pool))
