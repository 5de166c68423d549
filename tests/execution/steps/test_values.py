"""Results of steps come back as the return annotations of their functions say."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypedDict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from ironforge.execution.steps.values import decoded, encoded, is_async, returned_by
from ironforge.steps.errors import InvalidStep

if TYPE_CHECKING:
    from decimal import Decimal


class Charge(msgspec.Struct):
    cents: int


class Parcel(BaseModel):
    weight: float


@dataclasses.dataclass
class Item:
    name: str


class Named(TypedDict):
    name: str


class Shop:
    def charge(self) -> Charge:
        return Charge(1)

    async def pack(self) -> Parcel:
        return Parcel(weight=1)

    async def __call__(self) -> None: ...


def struct() -> Charge:
    return Charge(5)


def model() -> Parcel:
    return Parcel(weight=1.5)


def models() -> dict[str, list[Parcel]]:
    return {"a": [Parcel(weight=1)]}


def item() -> Item | None:
    return Item("a")


def named() -> Named:
    return {"name": "a"}


def day() -> date:
    return datetime(2026, 11, 27, tzinfo=UTC).date()


def small() -> Annotated[int, msgspec.Meta(lt=10)]:
    return 3


def nothing() -> None: ...


def awaited() -> Awaitable[Charge]:
    raise NotImplementedError


def round_trip(function: Callable[..., Any], value: Any) -> Any:
    return decoded(encoded(value, "s"), function, "s")


@pytest.mark.parametrize("function", [struct, model, models, item, named, day, small, nothing, Shop().charge])
def test_the_value_is_what_the_function_has_returned(function: Callable[..., Any]) -> None:
    assert round_trip(function, function()) == function()


def test_without_an_annotation_it_is_what_json_makes_of_it() -> None:
    assert round_trip(lambda: None, Charge(5)) == {"cents": 5}
    assert round_trip(functools.partial(struct), Charge(5)) == Charge(5)
    assert round_trip(awaited, Charge(5)) == Charge(5)
    assert round_trip(len, 5) == 5
    assert round_trip(Charge, Charge(5)) == {"cents": 5}


def test_annotations_that_say_nothing_are_left_alone() -> None:
    def money() -> Decimal: ...

    def never() -> NoReturn: ...

    assert returned_by(money) is Any
    assert round_trip(money, "1.50") == "1.50"
    assert round_trip(never, 1) == 1


def test_a_value_that_does_not_fit_is_told_with_the_type() -> None:
    with pytest.raises(InvalidStep, match="what step s has recorded does not fit Charge, which its function returns"):
        round_trip(struct, {"dollars": 5})


def test_what_is_to_be_awaited_is_known_by_its_function() -> None:
    shop = Shop()
    assert [is_async(one) for one in (shop.pack, functools.partial(shop.pack), shop)] == [True] * 3
    assert [is_async(one) for one in (shop.charge, struct, Shop, len, awaited, lambda: 1)] == [False] * 6


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_json_is_its_own_round_trip(value: Any) -> None:
    assert round_trip(lambda: None, value) == value
