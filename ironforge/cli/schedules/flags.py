"""The fields of a schedule as flags, made from their declaration: a new one is a flag as well."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import datetime
from types import UnionType
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

from ironforge.cli.generated_flags import flag, with_flags
from ironforge.formats.numbers import shown as number
from ironforge.schedules.definition import CatchUp, Schedule

# What it starts, which arguments say.
_STARTS: Final = ("job", "workflow")
_CATCH_UP: Final = "catch_up"
# --catch-up all --catch-up-most 10
_CATCH_UP_FLAGS: Final = {
    field: _CATCH_UP if field == "policy" else f"{_CATCH_UP}_{field}" for field in CatchUp.__struct_fields__
}


def takes_schedule(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command a flag for each field but what it starts; its own parameter `schedule` receives those given."""
    return with_flags(command, "schedule", _flags(), _given)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in values.items() if value not in (None, [])}
    catch_up = {field: given.pop(name) for field, name in _CATCH_UP_FLAGS.items() if name in given}
    return {**given, _CATCH_UP: catch_up} if catch_up else given


def _flags() -> list[inspect.Parameter]:
    flags = []
    for field in msgspec.structs.fields(Schedule):
        if field.name == _CATCH_UP:
            parts = msgspec.structs.fields(CatchUp)
            flags += [_flag(part, _CATCH_UP_FLAGS[part.name], "late ticks: ") for part in parts]
        elif field.name not in _STARTS:
            flags.append(_flag(field, field.name))
    return flags


def _flag(field: msgspec.structs.FieldInfo, name: str, about: str = "") -> inspect.Parameter:
    declared, meta = get_args(field.type)
    kind = get_args(declared)[0] if isinstance(declared, UnionType) else declared
    text = about + meta.description + (f"; default: {number(field.default)}" if field.default else "")
    if get_origin(kind) is Literal:
        return flag(name, str, f"{', '.join(get_args(kind))}; {text}")
    if get_origin(kind) is tuple:
        return flag(name, list[str], f"{text}; repeat it")
    return flag(name, str if kind is datetime else kind, text)
