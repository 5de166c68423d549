"""The JSON Schema of what a handler takes: never stricter than its decoder, which may convert what a schema refuses."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

import msgspec

from ironforge.handlers.payload_errors import is_pydantic

# Keywords that mean the same to decoder and schema. Patterns, multiples and unique items do not, names of members may
# be numbers to a handler, and what a value defaults to is the node's to know.
_SAME: Final = frozenset(
    {
        "$ref",
        "type",
        "required",
        "enum",
        "const",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "title",
        "description",
        "format",
    }
)
_ONE: Final = ("items", "additionalProperties")
_SEVERAL: Final = {"anyOf": "anyOf", "oneOf": "anyOf", "prefixItems": "prefixItems"}
_NAMED: Final = ("properties", "$defs")


def schema_of(model: Any, names: Collection[str], *, optional: bool) -> dict[str, Any] | None:
    """`names`: the only fields there may be, when not empty; `optional`: null stands for nothing given. None where
    anything is taken, or where no schema can say what is."""
    try:
        if is_pydantic(model):
            from ironforge.handlers.pydantic_schema import Tolerant  # noqa: PLC0415

            exact = model.model_json_schema(schema_generator=Tolerant)
        else:
            exact = msgspec.json.schema(model, schema_hook=lambda _: {})
        open_enums = set() if is_pydantic(model) else _open_enums(msgspec.inspect.type_info(model), set())
    except Exception:  # noqa: BLE001 - a type's own code, and types that have no schema
        return None
    schema: dict[str, Any] = _loosened(exact, open_enums)
    if names:
        schema["propertyNames"] = {"enum": sorted(names)}
    if not schema.keys() - {"title", "description", "$defs"}:
        return None
    if optional:
        definitions = schema.pop("$defs", None)
        schema = {"anyOf": [schema, {"type": "null"}]} | ({"$defs": definitions} if definitions else {})
    return schema


def _loosened(schema: Any, open_enums: Collection[str]) -> Any:
    """`open_enums`: titles of enumerations that make a member of other values too."""
    if not isinstance(schema, dict):
        return schema  # true or false
    if "enum" in schema and schema.get("title") in open_enums:
        return {}
    kept = {name: value for name, value in schema.items() if name in _SAME}
    kept |= {name: _loosened(schema[name], open_enums) for name in _ONE if name in schema}
    for name, as_name in _SEVERAL.items():
        if name in schema:
            kept[as_name] = [_loosened(each, open_enums) for each in schema[name]]
    for name in _NAMED:
        if name in schema:
            kept[name] = {key: _loosened(each, open_enums) for key, each in schema[name].items()}
    return _as_converted(kept, schema)


def _as_converted(kept: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Without what a decoder takes more of than `schema` says."""
    if kept.get("format") == "decimal":
        kept["type"] = ["string", "number"]
    if "uniqueItems" in schema:  # the same items twice are one
        kept.pop("maxItems", None)
    if "contentEncoding" in schema:  # lengths are of the decoded bytes
        kept.pop("minLength", None)
        kept.pop("maxLength", None)
    if "required" in kept:  # the tag of a Struct need not be there where nothing else is possible
        kept["required"] = [name for name in kept["required"] if len(_options(schema, name)) != 1]
    return kept


def _options(schema: dict[str, Any], name: str) -> Collection[Any]:
    declared = schema.get("properties", {}).get(name)
    options: Collection[Any] = declared.get("enum", ()) if isinstance(declared, dict) else ()
    return options


def _open_enums(part: Any, seen: set[int]) -> set[str]:
    return {each.cls.__name__ for each in parts_of(part, seen) if _is_open(each)}


def _is_open(part: Any) -> bool:
    return isinstance(part, msgspec.inspect.EnumType) and "_missing_" in {
        name for base in part.cls.__mro__ if not base.__module__.startswith("enum") for name in vars(base)
    }


def parts_of(part: Any, seen: set[int]) -> Iterator[Any]:
    """A type of `msgspec.inspect` and all inside it, each once."""
    if id(part) in seen or not isinstance(part, tuple | msgspec.inspect.Type | msgspec.inspect.Field):
        return
    seen.add(id(part))
    yield part
    for inner in part if isinstance(part, tuple) else msgspec.structs.astuple(part):
        yield from parts_of(inner, seen)
