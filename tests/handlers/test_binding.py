"""Binding: which arguments a handler gets for which payload, and what it is told about a wrong one."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.errors import ConfigError, InvalidPayload, SerializationError
from ironforge.handlers.binding import binder_of
from ironforge.job.context import Context
from ironforge.job.json_values import encode_payload


class Point(msgspec.Struct, forbid_unknown_fields=True):
    x: int
    y: int = 0


class Line(msgspec.Struct):
    start: Point
    end: Point


@dataclass
class Address:
    city: str
    zip: str = ""


class Options(TypedDict):
    color: str


class User(pydantic.BaseModel):
    name: str
    age: int


def bound(function: Any, payload: bytes) -> dict[str, Any]:
    return binder_of(function).bind(payload)


def wrong(function: Any, payload: bytes) -> InvalidPayload:
    with pytest.raises(InvalidPayload) as caught:
        bound(function, payload)
    return caught.value


def by_field(to: str, count: int = 1, tags: list[str] = ["new"]) -> None: ...  # noqa: B006


def test_every_parameter_is_a_field_of_the_payload():
    assert bound(by_field, b'{"to":"ada","count":3,"tags":[]}') == {"to": "ada", "count": 3, "tags": []}


def test_defaults_are_honoured():
    assert bound(by_field, b'{"to":"ada"}') == {"to": "ada", "count": 1, "tags": ["new"]}


def test_every_wrong_field_is_named_at_once():
    error = wrong(by_field, b'{"too":"ada","count":"3"}')
    assert (
        str(error)
        == "to: required, but missing; count: Expected `int`, got `str`; too: unknown field, did you mean 'to'?"
    )
    assert error.code == "invalid_arguments"
    assert error.field == "payload.to"


def test_an_unknown_field_is_named_only_where_it_may_have_been_meant_for_a_missing_one():
    assert str(wrong(by_field, b'{"zzz":"ada"}')) == "to: required, but missing"


def test_an_absent_payload_is_an_empty_object_for_parameters_with_defaults():
    def function(count: int = 7) -> None: ...

    assert bound(function, b"null") == {"count": 7}
    assert bound(function, b"") == {"count": 7}
    assert str(wrong(by_field, b"null")) == "to: required, but missing"


def test_a_handler_without_parameters_ignores_its_payload():
    def function() -> None: ...

    assert bound(function, b'{"what":"ever"}') == {}
    assert bound(function, b"null") == {}


def test_a_payload_that_is_no_object_or_no_json_says_so():
    assert "Expected `object`, got `array`" in str(wrong(by_field, b"[1]"))
    assert "not JSON" in str(wrong(by_field, b'{"to":'))
    assert "not JSON" in str(wrong(by_field, b"[" * 100_000))


def test_one_structured_parameter_takes_the_whole_payload():
    def struct(point: Point) -> None: ...
    def data(address: Address) -> None: ...
    def typed(options: Options) -> None: ...
    def model(user: User) -> None: ...

    assert bound(struct, b'{"x":1,"y":2}') == {"point": Point(1, 2)}
    assert bound(data, b'{"city":"Rome"}') == {"address": Address("Rome")}
    assert bound(typed, b'{"color":"red"}') == {"options": {"color": "red"}}
    assert bound(model, b'{"name":"Ada","age":36}') == {"user": User(name="Ada", age=36)}


def test_a_parameter_named_payload_takes_the_whole_payload():
    def anything(payload) -> None: ...
    def numbers(payload: list[int]) -> None: ...

    assert bound(anything, b'[1,"a"]') == {"payload": [1, "a"]}
    assert bound(numbers, b"[1,2]") == {"payload": [1, 2]}
    assert str(wrong(numbers, b'[1,"a"]')) == "payload: Expected `int`, got `str` - at `payload[1]`"


def test_a_problem_deep_inside_is_named_by_its_path():
    def function(line: Line) -> None: ...

    assert str(wrong(function, b'{"start":{"x":1},"end":{"x":"a"}}')) == "end: Expected `int`, got `str` - at `end.x`"


def test_pydantic_problems_are_named_field_by_field():
    def function(user: User) -> None: ...

    error = wrong(function, b'{"age":"old"}')
    assert "name: Field required" in str(error)
    assert "age: Input should be a valid integer" in str(error)
    assert error.field == "payload.name"


def test_a_pydantic_model_may_be_one_field_of_many():
    def function(user: User, count: int) -> None: ...

    assert bound(function, b'{"user":{"name":"A","age":1},"count":2}') == {"user": User(name="A", age=1), "count": 2}
    assert "user: age: Field required" in str(wrong(function, b'{"user":{"name":"A"},"count":2}'))


def test_unknown_fields_are_a_problem_only_where_they_are_forbidden():
    class Open(msgspec.Struct):
        a: int

    def function(payload: int) -> None: ...

    function.__annotations__ = {"payload": Open}
    assert bound(function, b'{"a":1,"b":2}') == {"payload": Open(1)}
    assert str(wrong(function, b'{"a":"1","b":2}')) == "a: Expected `int`, got `str`"


def test_a_whole_payload_may_have_a_default():
    def function(payload: int = 7) -> None: ...

    assert bound(function, b"null") == {}
    assert bound(function, b"8") == {"payload": 8}


class Range(msgspec.Struct):
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


def test_a_rule_over_several_fields_is_passed_on():
    def function(payload: Range) -> None: ...

    assert str(wrong(function, b'{"low":2,"high":1}')) == "payload: low is above high"


def by_struct(line: Line) -> None: ...
def by_model(user: User) -> None: ...
def by_name(payload: dict[str, list[int]]) -> None: ...


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["to", "count", "start", "x", "name"]), inner),
    max_leaves=8,
)


@given(payload=st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
@pytest.mark.parametrize("function", [by_field, by_struct, by_model, by_name])
def test_any_bytes_are_bound_or_refused_with_a_reason(function, payload):
    try:
        assert isinstance(bound(function, payload), dict)
    except InvalidPayload as error:
        assert str(error)  # noqa: PT017 - either way is right


def test_constraints_and_rich_types_are_decoded():
    def function(when: datetime, key: UUID, size: Annotated[int, msgspec.Meta(gt=0)]) -> None: ...

    key = "6d3f7b3c-7d5c-4d0f-9d6e-1f6a3e0b5a11"
    payload = f'{{"when":"2030-01-01T00:00:00Z","key":"{key}","size":%d}}'
    assert bound(function, (payload % 1).encode()) == {
        "when": datetime(2030, 1, 1, tzinfo=UTC),
        "key": UUID(key),
        "size": 1,
    }
    assert str(wrong(function, (payload % 0).encode())) == "size: Expected `int` >= 1"


def test_the_context_is_no_part_of_the_payload_wherever_it_stands():
    def first(context: Context, to: str) -> None: ...
    def last(to: str, ctx: Context) -> None: ...

    assert bound(first, b'{"to":"ada"}') == {"to": "ada"}
    assert bound(last, b'{"to":"ada"}') == {"to": "ada"}
    assert binder_of(first).context_name == "context"
    assert binder_of(last).context_name == "ctx"


def test_what_a_users_own_check_says_is_passed_on():
    class Strict(msgspec.Struct):
        a: int

        def __post_init__(self) -> None:
            raise KeyError("no way")

    def function(strict) -> None: ...

    function.__annotations__ = {"strict": Strict}
    assert str(wrong(function, b'{"a":1}')) == "payload: KeyError: 'no way'"


@pytest.mark.parametrize(
    ("signature", "named"),
    [
        ("def f(*args): ...", r"\*args"),
        ("def f(**kwargs): ...", r"\*kwargs"),
        ("def f(to): ...", "'to' without annotation"),
        ("def f(a: int, /): ...", "by position only"),
        ("def f(a: Context, b: Context): ...", "context twice"),
        ("def f(a: socket.socket): ...", "no JSON value fits"),
        ("def f(a: list[socket.socket | None]): ...", "no JSON value fits"),
        ("def f(a: 'Missing'): ...", "cannot be resolved"),
    ],
)
def test_a_signature_that_cannot_be_bound_is_refused(signature, named):
    scope: dict[str, Any] = {"Context": Context, "socket": socket}
    exec(signature, scope)
    with pytest.raises(ConfigError, match=named):
        binder_of(scope["f"])


def test_values_with_a_json_form_are_encoded():
    value = {
        "when": datetime(2030, 1, 1, tzinfo=UTC),
        "point": Point(1),
        "address": Address("Rome"),
        "user": User(name="Ada", age=36),
    }
    expected = (
        b'{"when":"2030-01-01T00:00:00Z","point":{"x":1,"y":0},'
        b'"address":{"city":"Rome","zip":""},"user":{"name":"Ada","age":36}}'
    )
    assert encode_payload(value) == expected


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (object(), "payload"),
        ({"a": [1, {"b": lambda: None}]}, "payload.a[1].b"),
        ({"a": Address(city=socket)}, "payload.a.city"),
        ({"a": {1, object}}, "payload.a{}"),
        (Line(Point(1), Point(object())), "payload.end.x"),
        ({1: object()}, "payload[1]"),
    ],
)
def test_a_value_that_json_cannot_carry_is_named_by_its_path(value, path):
    with pytest.raises(SerializationError) as caught:
        encode_payload(value)
    assert caught.value.code == "not_serialisable"
    assert caught.value.field == path
    assert path in str(caught.value)


def test_a_value_that_contains_itself_is_refused():
    value: list[Any] = []
    value.append(value)
    with pytest.raises(SerializationError, match="containing itself"):
        encode_payload(value)
