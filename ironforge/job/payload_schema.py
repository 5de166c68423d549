"""Checks payloads by the JSON Schemas that nodes announce: compiled once, without any retrieval, with regular
expressions that take linear time, and in words that echo no value."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import jsonschema_rs
import msgspec

from ironforge.errors import InvalidPayload
from ironforge.formats.suggest import closest
from ironforge.job.mismatch import place_of

COMPILED_KEPT: Final = 512
SHOWN_CHARACTERS: Final = 300
_PATTERN_BYTES: Final = 1_048_576


def compile_schema(schema: Mapping[str, Any] | str) -> jsonschema_rs.Validator:
    """Raises ValueError that says what is wrong with the schema, and where."""
    try:
        return jsonschema_rs.validator_for(
            schema if isinstance(schema, str) else dict(schema),
            offline=True,
            validate_formats=False,
            mask="the value",
            pattern_options=jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES),
        )
    except jsonschema_rs.ValidationError as error:
        place = place_of("", error.instance_path)
        raise ValueError((f"at {place}: " if place else "") + error.message[:SHOWN_CHARACTERS]) from None


@functools.lru_cache(COMPILED_KEPT)
def _compiled(schema: str) -> jsonschema_rs.Validator | None:
    """None for an announced one that this version cannot read: it refuses nothing."""
    try:
        return compile_schema(schema)
    except ValueError:
        return None


def check_payload(kind: str, schemas: Sequence[str], payload: bytes) -> None:
    """`schemas`: encoded, the newest first; what one of them accepts is accepted. Raises InvalidPayload with the
    place of the field, `payload.parts[0]`."""
    value = msgspec.json.decode(payload or b"null")
    validators = [_compiled(schema) for schema in schemas]
    if any(each is None or each.is_valid(value) for each in validators):
        return
    try:
        assert validators[0] is not None
        validators[0].validate(value)
    except jsonschema_rs.ValidationError as error:
        raise _refused(kind, error) from None


def _refused(kind: str, error: jsonschema_rs.ValidationError) -> InvalidPayload:
    words, path = error.message, [*error.instance_path]
    match error.kind:
        case jsonschema_rs.ValidationErrorKind.Required(property=name):
            words, path = "required, but missing", [*path, name]
        case jsonschema_rs.ValidationErrorKind.AdditionalProperties(unexpected=[name, *_]):
            words, path = "unknown field", [*path, name]
        case jsonschema_rs.ValidationErrorKind.PropertyNames(error=inner):
            path = [*path, str(inner.instance)]
            words = "unknown field"
            if isinstance(inner.kind, jsonschema_rs.ValidationErrorKind.Enum):
                close = closest(str(inner.instance), [str(option) for option in inner.kind.options])
                words += f", did you mean {close!r}?" if close else ""
    place = place_of("payload", path)[:SHOWN_CHARACTERS]
    hint = f"`ironforge kinds show {kind}` and GET /kinds/{kind} show what its payloads must be"
    return InvalidPayload(f"{place}: {words[:SHOWN_CHARACTERS]}", code="invalid_payload", field=place, hint=hint)
