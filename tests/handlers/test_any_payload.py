"""Annotations that ask for nothing in particular take whatever JSON holds; user code that raises while it decodes."""

from __future__ import annotations

import numbers
from collections.abc import Hashable, Sized
from dataclasses import dataclass
from typing import Annotated, Any, NewType, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.errors import ConfigError, InvalidPayload
from ironforge.handlers.binding import binder_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)
T = TypeVar("T")
Whatever = NewType("Whatever", object)
UNIONS = [int | object, Whatever | None | list[str], Annotated[Annotated[object, "a note"] | dict[str, int], "another"]]
ANYTHING = [object, Any, object | None, T, Whatever, Annotated[object, "a note"], *UNIONS]


def taking(annotation: Any, name: str = "payload") -> Any:
    def handler(**_: Any) -> None: ...

    namespace: dict[str, Any] = {}
    exec(f"def handler({name}: annotation) -> None: ...", {"annotation": annotation}, namespace)
    return namespace["handler"]


@pytest.mark.parametrize("annotation", ANYTHING, ids=str)
@given(value=JSON)
def test_it_takes_any_json_value_as_the_payload_and_as_a_field(annotation, value):
    encoded = msgspec.json.encode(value)
    assert binder_of(taking(annotation)).bind(encoded) == {"payload": value}
    assert binder_of(taking(annotation, "field")).bind(b'{"field":%b}' % encoded) == {"field": value}


@pytest.mark.parametrize("inner", [list[object], list[int | object], Annotated[list[object | None], "a note"]])
def test_it_may_stand_inside_of_other_types(inner):
    binder = binder_of(taking(dict[str, inner]))
    assert binder.bind(b'{"a":[1,"b",null]}') == {"payload": {"a": [1, "b", None]}}
    with pytest.raises(InvalidPayload, match="Expected `array`"):
        binder.bind(b'{"a":1}')


@pytest.mark.parametrize(
    ("annotation", "fits", "other"), [(Hashable, b'"a"', b"[]"), (Sized, b"[]", b"1"), (numbers.Real, b"1.5", b'"a"')]
)
def test_a_class_that_some_values_are_instances_of_takes_those(annotation, fits, other):
    binder = binder_of(taking(annotation))
    assert binder.bind(fits)["payload"] == msgspec.json.decode(fits)
    with pytest.raises(InvalidPayload, match=f"Expected `{annotation.__name__}`"):
        binder.bind(other)


@pytest.mark.parametrize("annotation", [socket := type("Socket", (), {}), type, int | socket])
def test_what_no_value_is_an_instance_of_is_refused_at_registration(annotation):
    with pytest.raises(ConfigError, match="no JSON value fits"):
        binder_of(taking(annotation))


# --------------------------------------------------------------------------- users' own code


class Odd(Exception):
    """Raises wherever it is looked at, and calls something by the name that pydantic's errors have."""

    errors = 5

    def __str__(self) -> str:
        raise RuntimeError("no")


@dataclass
class Order:
    number: int
    name: str = ""

    def __post_init__(self) -> None:
        raise Odd


@dataclass
class Cart:
    order: Order
    count: int


def order(order: Order) -> None: ...


def cart(order: Order, count: int) -> None: ...


def test_an_error_of_a_types_own_code_is_an_invalid_payload_whatever_it_says():
    with pytest.raises(
        InvalidPayload, match=rf"payload: {__name__}.Odd: \(its message could not be read: RuntimeError\)"
    ):
        binder_of(order).bind(b'{"number":1}')


def test_it_is_one_problem_among_others():
    with pytest.raises(InvalidPayload, match=r"order: \(its message could not be read.*; count: Expected `int`"):
        binder_of(cart).bind(b'{"count":"x","order":{"number":1}}')
