"""The JSON Schema of what a pydantic model takes, its conversions included; imported where a handler has one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

# Kinds of types that say all they take; in place of all others anything may stand.
_KNOWN: Final = frozenset(
    {
        "any",
        "none",
        "bool",
        "int",
        "float",
        "str",
        "list",
        "dict",
        "literal",
        "nullable",
        "union",
        "tagged-union",
        "default",
        "function-after",
        "model",
        "model-fields",
        "model-field",
        "typed-dict",
        "typed-dict-field",
        "definitions",
        "definition-ref",
    }
)


class Tolerant(GenerateJsonSchema):
    def build_schema_type_to_method(self) -> dict[Any, Callable[[Any], JsonSchemaValue]]:
        methods = super().build_schema_type_to_method()
        return {kind: method if kind in _KNOWN else _anything for kind, method in methods.items()}

    def bool_schema(self, schema: Any) -> JsonSchemaValue:  # noqa: ARG002 - pydantic's signature
        return _of_text_too({})

    def int_schema(self, schema: Any) -> JsonSchemaValue:
        return _of_text_too(super().int_schema(schema))

    def float_schema(self, schema: Any) -> JsonSchemaValue:
        return _of_text_too(super().float_schema(schema))

    def str_schema(self, schema: Any) -> JsonSchemaValue:
        """Without lengths: of text that is stripped they are those of the rest. Numbers become text where asked for."""
        coerced = schema.get("coerce_numbers_to_str", self._config.coerce_numbers_to_str)
        return {"type": ["string", "number"] if coerced else "string"}

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        cls = schema["cls"]
        if getattr(cls, "__pydantic_root_model__", False):
            return super().model_schema(schema)
        by_name = cls.model_config.get("populate_by_name") or cls.model_config.get("validate_by_name")
        aliases = [field.validation_alias for field in cls.model_fields.values()]
        if by_name or schema.get("custom_init") or not all(isinstance(alias, str | None) for alias in aliases):
            return {"type": "object"}  # a field has several names
        return super().model_schema(schema)


def _anything(_: Any) -> JsonSchemaValue:
    return {}


def _of_text_too(schema: JsonSchemaValue) -> JsonSchemaValue:
    return schema | {"type": ["number", "string", "boolean"]}
