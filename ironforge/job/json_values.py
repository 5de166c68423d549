"""Python values as JSON: payloads on their way in, with what a kind takes from them, results on their way out.

The encoder takes what JSON would carry as something else (NaN as null, 1 and "1" as one key), so a second one, which
does not, looks at the value too. They say only that something is wrong: on failure the value is walked to find where.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from ironforge.codes import Code
from ironforge.errors import InvalidJob, SerializationError
from ironforge.formats.json_rules import (
    MAX_DEPTH,
    Breach,
    half_of_a_pair,
    integer_out_of_range,
    no_number,
    repeated_key,
    sendable,
)
from ironforge.job.checks import MAX_RESULT_BYTES, check_payload_size
from ironforge.job.tracebacks import UnusableResult, in_words, message_of

_decode: Final = msgspec.json.Decoder().decode


def _hook(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)  # pydantic's models, without importing pydantic
    if dump is None or isinstance(value, type):
        raise NotImplementedError(f"{type(value).__name__} has no JSON form")
    return dump(mode="json")


_encode: Final = msgspec.json.Encoder(enc_hook=_hook).encode
# Refuses what JSON would carry as something else: integers beyond 64 bits, keys that are no text.
_pack_strictly: Final = msgspec.msgpack.Encoder(enc_hook=_hook, order="deterministic").encode
_pack: Final = msgspec.msgpack.Encoder(enc_hook=_hook).encode
# How a float begins that is no number. JSON would carry it as null.
_NOT_FINITE: Final = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]")


def encode_payload(value: object) -> bytes:
    """Raises SerializationError naming the path to the culprit, InvalidJob when it is too large."""
    return check_payload_size(encode(value, "payload"))


def encode(value: object, name: str) -> bytes:
    """Raises SerializationError; `name` begins the path to the culprit."""
    try:
        return _encode_strictly(value)
    except Exception as error:  # noqa: BLE001 - the value's own methods may raise anything
        path, problem = _blame(value, name, error)
    if isinstance(problem, Breach):
        raise SerializationError(f"{path}: {problem}", code=problem.code, field=path)
    raise SerializationError(
        f"{path} cannot be sent as JSON: {problem}. Pass numbers, text, lists, dicts or dataclasses", field=path
    )


def encode_result(value: object) -> bytes:
    """Raises UnusableResult when JSON cannot carry the value, or when it is larger than a record may hold."""
    try:
        encoded = _encode_strictly(value)
    except BaseException as error:  # noqa: BLE001 - on a node the value's own methods may even want to end it
        path, problem = _blame(value, "result", error)
        raise UnusableResult(f"result_not_serialisable: {path}: {problem}") from None
    if len(encoded) > MAX_RESULT_BYTES:
        raise UnusableResult(f"result_too_large: {len(encoded)} bytes, at most {MAX_RESULT_BYTES}: return a reference")
    return encoded


def _encode_strictly(value: object) -> bytes:
    """Raises Breach for what JSON would carry as something else, and whatever the value's own methods raise."""
    if value is None:
        return b"null"
    encoded = _encode(value)
    try:
        packed = _pack_strictly(value)
    except OverflowError:
        raise integer_out_of_range(str(value) if isinstance(value, int) else "an integer") from None
    except TypeError:
        # A key becomes a text in JSON, which is fine unless there is one like it.
        packed = _pack(value)
        if _encode(_decode(encoded)).count(b":") != encoded.count(b":"):
            raise repeated_key(_twice(value)) from None
    if b"null" in encoded and _NOT_FINITE.search(packed) and _has_no_number(packed):
        raise no_number("NaN" if value != value else "-Infinity" if value == -math.inf else "Infinity")  # noqa: PLR0124
    return encoded


def _has_no_number(packed: bytes) -> bool:
    """Other values may happen to have these bytes."""
    try:
        json.dumps(msgspec.msgpack.decode(packed), allow_nan=False, default=str, skipkeys=True)
    except ValueError:
        return True
    return False


def _twice(value: object) -> str:
    if not isinstance(value, Mapping):
        return ""
    keys = [next(iter(_decode(_encode({key: None})))) for key in value]
    return next((key for place, key in enumerate(keys) if key in keys[:place]), "")


def _blame(value: object, path: str, error: BaseException) -> tuple[str, str | Breach]:
    try:
        return _culprit(value, path, error)
    except BaseException as broken:  # noqa: BLE001 - the same
        return path, f"a part of it could not be read: {in_words(broken)}"


def _culprit(value: object, path: str, error: BaseException, depth: int = 0) -> tuple[str, str | Breach]:
    """The innermost part that cannot be encoded, and why."""
    if depth >= MAX_DEPTH:
        return path, f"nested deeper than {MAX_DEPTH} levels, or containing itself"
    for inner, part in _parts(value, path):
        try:
            _encode_strictly(part)
        except Exception as inner_error:  # noqa: BLE001 - the same
            return _culprit(part, inner, inner_error, depth + 1)
    return path, _problem(value, error)


def _parts(value: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        yield from (
            (f"{path}.{sendable(key)}" if isinstance(key, str) else f"{path}[{key!r:.40}]", value[key]) for key in value
        )
    elif isinstance(value, list | tuple):
        yield from ((f"{path}[{index}]", part) for index, part in enumerate(value))
    elif isinstance(value, set | frozenset):
        yield from ((f"{path}{{}}", part) for part in value)
    elif isinstance(value, msgspec.Struct):
        yield from ((f"{path}.{name}", getattr(value, name)) for name in value.__struct_fields__)
    elif hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        yield from ((f"{path}.{name}", getattr(value, name, None)) for name in value.__dataclass_fields__)


def _problem(value: object, error: BaseException) -> str | Breach:
    if isinstance(error, Breach):
        return error
    if isinstance(error, UnicodeEncodeError) and isinstance(value, str | Mapping):
        return half_of_a_pair()
    if isinstance(error, ValueError) and isinstance(value, int):  # Python writes none of more than 4,300 digits
        return integer_out_of_range(f"an integer of {value.bit_length()} bits")
    if isinstance(error, NotImplementedError | TypeError):
        return f"{type(value).__qualname__} is not a JSON value"
    return f"{type(value).__qualname__}: {message_of(error)}"


def text_at(payload: Any, path: str, what: str, code: Code) -> str:
    """What stands at a path into a decoded payload, where a kind says that its jobs take a `what` from there. Raises
    InvalidJob when that is no text, number or truth value; an empty text would be the same for all that have none."""
    value = payload
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if value is None or value == "" or isinstance(value, dict | list):
        hint = f"give a text, a number, true or false there, or the {what} with the submission"
        raise InvalidJob(
            f"the payload has no text or number at {path}, from which this kind makes its {what}: {hint}",
            code=code,
            field=place_in_payload(path),
            hint=hint,
        )
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def place_in_payload(path: str) -> str:
    """`payload.customer.id`."""
    return f"payload.{path}"
