"""The schema of a handler's payload: never stricter than the handler, and the same text each time."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironforge import ConfigError, Forge, InvalidPayload
from ironforge.handlers.binding import binder_of
from ironforge.job.payload_schema import check_payload, compile_schema


class Color(enum.Enum):
    RED = "red"


class OpenColor(enum.Enum):
    RED = "red"

    @classmethod
    def _missing_(cls, value: object) -> OpenColor:
        return cls.RED


class Tagged(msgspec.Struct, tag=True):
    n: int
    raw: Annotated[bytes, msgspec.Meta(max_length=3)] = b""


class Other(msgspec.Struct, tag=True):
    s: Literal["a"]


@dataclass
class Data:
    n: Decimal
    when: datetime | None = None
    some: Annotated[set[int], msgspec.Meta(max_length=1)] | None = None


class Typed(TypedDict):
    n: int
    s: NotRequired[Annotated[str, msgspec.Meta(pattern="^a+$")]]


class Inner(pydantic.BaseModel):
    n: int = pydantic.Field(ge=0)
    some: list[float] = []
    s: Annotated[str, pydantic.StringConstraints(strip_whitespace=True, max_length=2)] = ""


class Model(pydantic.BaseModel, extra="forbid"):
    n: Inner | bool | None = None
    s: Literal["a"] | Annotated[int, pydantic.BeforeValidator(lambda _: 1)] = "a"
    when: timedelta | Color = Color.RED


class Named(pydantic.BaseModel, populate_by_name=True, extra="forbid"):
    n: int = pydantic.Field(alias="s")


def taking(annotation: Any) -> Any:
    def handler(payload) -> None: ...

    handler.__annotations__ = {"payload": annotation}
    return handler


def by_field(
    n: int,
    s: str | None = None,
    some: dict[int, Annotated[float, msgspec.Meta(multiple_of=2)]] = {},  # noqa: B006
) -> None: ...
def by_default(n: Color = Color.RED, s: OpenColor = OpenColor.RED, when: UUID | None = None) -> None: ...
def of_models(n: Inner, s: bool = True) -> None: ...


SIGNATURES = [by_field, by_default, of_models]
SIGNATURES += [taking(each) for each in (Tagged, Tagged | Other, Data, Typed, Inner, Model, Named, list[int], Color)]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.floats(-2, 2)
    | st.sampled_from(
        ["", "a", " abc ", "aa\n", "1", "1.5", "red", "P1D", "Tagged", "2030-01-01T00:00:00Z", "AAAA", 2**70, 0.1]
    )
)
NAMES = st.sampled_from(["n", "s", "some", "when", "type", "raw", "1", "more"])
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=8
)


@settings(max_examples=40, deadline=None)
@given(value=st.dictionaries(NAMES, JSON, max_size=5) | JSON)
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("function", SIGNATURES)
def test_what_a_schema_refuses_the_handler_refuses(function, strict, value):
    try:
        binder = binder_of(function, strict=strict)
    except ConfigError:
        return
    schema = binder.payload_schema()
    if schema is not None and not compile_schema(schema).is_valid(value):
        with pytest.raises(InvalidPayload):
            binder.bind(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("function", "payload"),
    [
        (by_field, {}),
        (by_field, {"n": "x"}),
        (by_field, None),
        (by_default, {"n": "blue"}),
        (of_models, {"n": {}}),
        (taking(Tagged | Other), {"type": "Third"}),
        (taking(Typed), {"s": "a"}),
        (taking(Inner), {"n": []}),
        (taking(Model), {"more": 1}),
        (taking(list[int]), [1, "x"]),
    ],
)
def test_what_does_not_fit_is_refused_by_the_schema(function, payload):
    schema = binder_of(function).payload_schema()
    with pytest.raises(InvalidPayload):
        binder_of(function).bind(json.dumps(payload).encode())
    if function is not of_models:  # a model that is one field of many is checked by the node alone
        assert schema is not None
        assert not compile_schema(schema).is_valid(payload)


def test_strict_is_in_the_schema():
    def handler(payload: Typed) -> None: ...

    schema = binder_of(handler, strict=True).payload_schema()
    assert schema is not None
    assert schema["propertyNames"] == {"enum": ["n", "s"]}


def test_a_handler_that_takes_anything_has_none():
    def nothing() -> None: ...

    assert binder_of(nothing).payload_schema() is None
    assert binder_of(taking(Any)).payload_schema() is None


# --------------------------------------------------------------------------- checking


def refusal(payload: bytes, *schemas: Any) -> InvalidPayload:
    with pytest.raises(InvalidPayload) as caught:
        check_payload("k", [json.dumps(schema) for schema in schemas], payload)
    return caught.value


STRICT = {"type": "object", "properties": {"to": {"type": "array", "items": {"type": "integer"}}}, "required": ["to"]}


@pytest.mark.parametrize(
    ("payload", "field", "words"),
    [
        (b"{}", "payload.to", "required, but missing"),
        (b"", "payload", "is not of type"),
        (b'{"to":[1,"secret"]}', "payload.to[1]", 'the value is not of type "integer"'),
        (b'{"to":[],"x":1}', "payload.x", "unknown field"),
        (b'{"to":[],"a/b~c":1}', "payload.a/b~c", "unknown field"),
    ],
)
def test_a_refusal_points_into_the_payload(payload, field, words):
    error = refusal(payload, STRICT | {"additionalProperties": False})
    assert error.field == field
    assert words in str(error)
    assert "secret" not in str(error)
    assert error.code == "invalid_payload"
    assert error.hint is not None
    assert "GET /kinds/k" in error.hint


def test_an_unknown_field_says_what_may_have_been_meant():
    assert str(refusal(b'{"too":1}', {"propertyNames": {"enum": ["to"]}})) == (
        "payload.too: unknown field, did you mean 'to'?"
    )


def test_what_any_version_accepts_is_accepted():
    check_payload("k", [json.dumps(STRICT), '{"required":["n"]}'], b'{"n":1}')
    check_payload("k", [json.dumps(STRICT), '{"type":"nonsense"}'], b"1")
    assert refusal(b"{}", STRICT, {"required": ["n"]}).field == "payload.to"


@pytest.mark.timeout(10)
def test_no_pattern_takes_more_than_linear_time():
    assert refusal(b'"%s!"' % (b"a" * 50_000), {"pattern": "^(a+)+$"}).field == "payload"


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "strin"}, "at type: .* not valid under any"),
        ({"properties": {"a/b": {"minimum": "x"}}}, "at properties.a/b.minimum: "),
        ({"$ref": "http://127.0.0.1:1/x"}, "Retrieval is disabled"),
        ({"pattern": "(?=a)b"}, "regex"),
        ([], "must be a dict, not list"),
    ],
)
def test_a_schema_that_is_none_is_refused_where_it_is_registered(schema, words):
    with pytest.raises(ConfigError, match=words):
        Forge().job("k", schema=schema)


def test_a_given_schema_goes_before_that_of_the_signature():
    forge = Forge()
    forge.job("k", schema={"maxProperties": 1})(by_field)
    assert forge.handler("k").payload_schema() == {"maxProperties": 1}
