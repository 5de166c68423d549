"""Fields that a handler does not name: ignored for every sort of signature, refused where it says `strict`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec
import pydantic
import pytest

from ironforge.errors import ConfigError, InvalidPayload
from ironforge.handlers.binding import binder_of


class Struct(msgspec.Struct, rename={"to": "To"}):
    to: str
    note: str = ""


class Tagged(msgspec.Struct, tag=True):
    to: str


class Closed(msgspec.Struct, forbid_unknown_fields=True):
    to: str


@dataclass
class Data:
    to: str
    seen: int = field(init=False, default=0)


class Typed(TypedDict):
    to: str
    note: NotRequired[str]


class Model(pydantic.BaseModel):
    to: str


class Forbidding(pydantic.BaseModel, extra="forbid"):
    to: str


class Aliased(pydantic.BaseModel):
    to: str = pydantic.Field(validation_alias=pydantic.AliasChoices("recipient", pydantic.AliasPath("list", 0)))
    note: str = pydantic.Field("", alias="remark")


class Named(pydantic.BaseModel, populate_by_name=True):
    to: str = pydantic.Field(alias="recipient")
    first: str = pydantic.Field("", validation_alias=pydantic.AliasPath("list", 0))


def taking(annotation: Any) -> Any:
    def handler(message) -> None: ...

    handler.__annotations__ = {"message": annotation}
    return handler


def by_field(to: str, note: str | None = None) -> None: ...
def by_keyword(*, to: Annotated[str, msgspec.Meta(min_length=1)]) -> None: ...


FITTING = [
    (by_field, b'{"to":"ada"'),
    (by_keyword, b'{"to":"ada"'),
    (taking(Struct), b'{"To":"ada"'),
    (taking(Tagged), b'{"type":"Tagged","to":"ada"'),
    (taking(Data), b'{"to":"ada"'),
    (taking(Typed), b'{"to":"ada"'),
    (taking(Model), b'{"to":"ada"'),
    (taking(Aliased), b'{"list":["ada"],"remark":"x"'),
    (taking(Aliased), b'{"recipient":"ada"'),
    (taking(Named), b'{"to":"ada","list":["b"]'),
    (taking(Named), b'{"recipient":"ada"'),
]


@pytest.mark.parametrize(("function", "start"), FITTING)
def test_additional_fields_are_ignored(function, start):
    assert binder_of(function).bind(start + b',"zzz":[1]}') == binder_of(function).bind(start + b"}")


@pytest.mark.parametrize(("function", "start"), FITTING)
def test_strict_refuses_them_and_takes_what_is_named(function, start):
    binder = binder_of(function, strict=True)
    assert binder.bind(start + b"}") == binder_of(function).bind(start + b"}")
    with pytest.raises(InvalidPayload, match="zzz: unknown field, expected ") as caught:
        binder.bind(start + b',"zzz":[1]}')
    assert caught.value.field == "payload.zzz"


@pytest.mark.parametrize("model", [Closed, Forbidding])
def test_a_type_that_forbids_them_itself_is_taken_at_its_word(model):
    with pytest.raises(InvalidPayload, match="zzz"):
        binder_of(taking(model)).bind(b'{"to":"ada","zzz":1}')


def test_a_name_that_has_an_alias_is_an_additional_field():
    with pytest.raises(InvalidPayload, match="note: unknown field"):
        binder_of(taking(Aliased), strict=True).bind(b'{"recipient":"ada","note":"x"}')


def test_strict_without_parameters_takes_no_field_at_all():
    def handler() -> None: ...

    binder = binder_of(handler, strict=True)
    assert binder.bind(b"null") == {}
    with pytest.raises(InvalidPayload, match="to: unknown field, expected none"):
        binder.bind(b'{"to":1}')


def test_strict_leaves_what_is_inside_the_fields_to_their_types():
    def handler(message: Model, other: dict[str, int]) -> None: ...

    given = binder_of(handler, strict=True).bind(b'{"message":{"to":"ada","more":1},"other":{"any":1}}')
    assert given == {"message": Model(to="ada"), "other": {"any": 1}}


def test_strict_names_wrong_types_beside_unknown_fields():
    with pytest.raises(InvalidPayload) as caught:
        binder_of(taking(Data), strict=True).bind(b'{"to":1,"tto":1}')
    assert str(caught.value) == "to: Expected `str`, got `int`; tto: unknown field, did you mean 'to'?"


class Several(pydantic.RootModel[dict[str, int]]):
    pass


@pytest.mark.parametrize("annotation", [dict, dict[str, int], Any, Several])
def test_strict_is_refused_where_it_could_refuse_nothing(annotation):
    def handler(payload) -> None: ...

    handler.__annotations__ = {"payload": annotation}
    with pytest.raises(ConfigError, match="takes any field in 'payload': strict=True could refuse none"):
        binder_of(handler, strict=True)
