"""What is wrong with a payload: every wrong field by its name, and not only the first that the decoder met."""

from __future__ import annotations

import dataclasses
import itertools
import typing
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ironforge.errors import InvalidPayload
from ironforge.formats.suggest import closest
from ironforge.job.mismatch import place_of
from ironforge.job.tracebacks import in_words, message_of

SHOWN: Final = 20
# Payloads that stand for an object without fields.
NOTHING: Final = (b"", b"null")


class Field(typing.NamedTuple):
    """One expected field of the payload; `name` as it stands in the JSON."""

    name: str
    type: Any
    required: bool


class Shape(typing.NamedTuple):
    """What an object in the payload may hold; `closed`: nothing else."""

    fields: tuple[Field, ...] = ()
    closed: bool = False


def is_pydantic(cls: Any) -> bool:
    """Without importing pydantic: whoever uses it has imported it."""
    return isinstance(cls, type) and hasattr(cls, "model_validate_json") and hasattr(cls, "model_dump")


def build(cls: Any, value: Any) -> Any:
    """For the types that msgspec does not know and we do: pydantic models, and those that values have already."""
    if not is_pydantic(cls):
        return value  # msgspec looks whether it is one
    try:
        return cls.model_validate(value)
    except ValueError as error:
        raise ValueError(_told(_pydantic_problems(error)) or message_of(error)) from None


def shape_of(cls: Any) -> Shape:
    """What to explain an invalid payload by; without fields for types that have none."""
    if isinstance(cls, type) and issubclass(cls, msgspec.Struct):
        config = cls.__struct_config__
        known = [Field(f.encode_name, f.type, f.required) for f in msgspec.structs.fields(cls)]
        known += [Field(config.tag_field, Any, required=False)] if config.tag_field else []
        return Shape(tuple(known), config.forbid_unknown_fields)
    if typing.is_typeddict(cls):
        hints, read = typing.get_type_hints(cls), msgspec.inspect.type_info(cls)
        assert isinstance(read, msgspec.inspect.TypedDictType)  # `__required_keys__` knows no annotation that is text
        return Shape(tuple(Field(field.name, hints[field.name], field.required) for field in read.fields))
    if isinstance(cls, type) and dataclasses.is_dataclass(cls):
        hints = typing.get_type_hints(cls, include_extras=True)
        given = [field for field in dataclasses.fields(cls) if field.init]
        return Shape(tuple(Field(f.name, hints[f.name], _is_required(f)) for f in given))
    return Shape()


def names_of(cls: Any) -> frozenset[str]:
    """The fields that a payload of this type is read from; none for types that are no objects of known fields."""
    names = {field.name for field in shape_of(cls).fields}
    if is_pydantic(cls) and not getattr(cls, "__pydantic_root_model__", False):
        for name, field in cls.model_fields.items():
            names |= _pydantic_names(name, field.validation_alias, cls.model_config)
    return frozenset(names)


def _pydantic_names(name: str, alias: Any, config: typing.Mapping[str, Any]) -> set[str]:
    """Under which the payload may have a field: an alias, the first steps of several ways to it, or its own name."""
    if alias is None:
        return {name}
    own = {name} if config.get("populate_by_name") or config.get("validate_by_name") else set()
    if isinstance(alias, str):
        return own | {alias}
    paths = alias.convert_to_aliases()
    return own | ({path[0] for path in paths} if isinstance(paths[0], list) else {paths[0]})


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def explain(payload: bytes, shape: Shape, error: msgspec.DecodeError) -> InvalidPayload:
    """Every problem of the payload, not only the first one that the decoder met."""
    try:
        raw = msgspec.json.decode(b"{}" if payload in NOTHING else payload)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return InvalidPayload(f"payload is not JSON: {error}", field="payload")
    if not isinstance(raw, dict) or not (shape.fields or shape.closed):
        return InvalidPayload(f"payload: {_path(str(error), 'payload')}", field="payload")
    problems: dict[str, str] = {}
    missing: list[str] = []
    for field in shape.fields:
        if field.name in raw:
            try:
                msgspec.convert(raw[field.name], field.type, dec_hook=build)
            except Exception as wrong:  # noqa: BLE001 - msgspec's, or of a user's __post_init__
                problems[field.name] = _path(message_of(wrong), field.name)
        elif field.required:
            problems[field.name] = "required, but missing"
            missing.append(field.name)
    problems |= _unknown_fields(raw, shape, missing)
    if not problems:  # a rule over several fields, or one inside a nested object
        return InvalidPayload(f"payload: {_path(str(error), 'payload')}", field="payload")
    text = "; ".join(f"{name}: {problem}" for name, problem in list(problems.items())[:SHOWN])
    return InvalidPayload(text, field=place_of("payload", [next(iter(problems))]))


def _unknown_fields(raw: dict[str, Any], shape: Shape, missing: list[str]) -> dict[str, str]:
    """All where they are refused; else those that may have been meant for one that is missing."""
    names = [field.name for field in shape.fields]
    problems = {}
    # Looking for what was meant costs more than all the rest, and a payload may have 100,000 fields.
    for name in itertools.islice((name for name in raw if name not in names), SHOWN):
        if close := closest(name, names if shape.closed else missing):
            problems[name] = f"unknown field, did you mean {close!r}?"
        elif shape.closed:
            problems[name] = f"unknown field, expected {', '.join(names) or 'none'}"
    return problems


def _path(message: str, root: str) -> str:
    """msgspec writes paths from `$`; users know the field's name."""
    return message.replace("`$.", f"`{root}.").replace("`$[", f"`{root}[").removesuffix(" - at `$`")


def explain_other(error: Exception) -> InvalidPayload:
    problems = _pydantic_problems(error)
    if problems:
        return InvalidPayload(_told(problems[:SHOWN]), field=place_of("payload", problems[0][0]))
    return InvalidPayload(f"payload: {in_words(error)}", field="payload")


def _told(problems: Sequence[tuple[tuple[str | int, ...], str]]) -> str:
    return "; ".join(f"{place_of('', path) or 'payload'}: {problem}" for path, problem in problems)


def _pydantic_problems(error: Any) -> list[tuple[tuple[str | int, ...], str]]:
    """Each with its path into what was given. None for an error that is not pydantic's."""
    try:
        return [(tuple(problem["loc"]), problem["msg"]) for problem in error.errors(include_url=False)]
    except Exception:  # noqa: BLE001 - whatever the user's error calls by this name
        return []
