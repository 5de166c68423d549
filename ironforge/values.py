"""Python values as JSON: payloads on their way in, results on their way out.

The encoder says only that something cannot be encoded, so on failure the value is walked once more to find
where.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from ironforge.errors import SerializationError
from ironforge.failure import UnusableResult, in_words, message_of
from ironforge.options import MAX_RESULT_BYTES, check_payload_size

MAX_DEPTH: Final = 32


def _hook(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)  # pydantic's models, without importing pydantic
    if dump is None or isinstance(value, type):
        raise NotImplementedError(f"{type(value).__name__} has no JSON form")
    return dump(mode="json")


_encode = msgspec.json.Encoder(enc_hook=_hook).encode


def encode_payload(value: object) -> bytes:
    """Raises SerializationError naming the path to the culprit, InvalidJob when it is too large."""
    try:
        encoded = _encode(value)
    except Exception as error:  # noqa: BLE001 - the value's own methods may raise anything
        path, problem = _blame(value, "payload", error)
        raise SerializationError(
            f"{path} cannot be sent as JSON: {problem}. Pass numbers, text, lists, dicts or dataclasses",
            field=path,
        ) from None
    return check_payload_size(encoded)


def encode_result(value: object) -> bytes:
    """Raises UnusableResult when JSON cannot carry the value, or when it is larger than a record may hold."""
    try:
        encoded = _encode(value)
    except BaseException as error:  # noqa: BLE001 - on a node the value's own methods may even want to end it
        path, problem = _blame(value, "result", error)
        raise UnusableResult(f"result_not_serialisable: {path}: {problem}") from None
    if len(encoded) > MAX_RESULT_BYTES:
        raise UnusableResult(f"result_too_large: {len(encoded)} bytes, at most {MAX_RESULT_BYTES}: return a reference")
    return encoded


def _blame(value: object, path: str, error: BaseException) -> tuple[str, str]:
    try:
        return _culprit(value, path, error)
    except BaseException as broken:  # noqa: BLE001 - the same
        return path, f"a part of it could not be read: {in_words(broken)}"


def _culprit(value: object, path: str, error: BaseException, depth: int = 0) -> tuple[str, str]:
    """The innermost part that cannot be encoded, and why."""
    if depth >= MAX_DEPTH:
        return path, f"nested deeper than {MAX_DEPTH} levels, or containing itself"
    for inner, part in _parts(value, path):
        try:
            _encode(part)
        except Exception as inner_error:  # noqa: BLE001 - the same
            return _culprit(part, inner, inner_error, depth + 1)
    return path, _problem(value, error)


def _parts(value: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        yield from ((f"{path}.{key}" if isinstance(key, str) else f"{path}[{key!r:.40}]", value[key]) for key in value)
    elif isinstance(value, list | tuple):
        yield from ((f"{path}[{index}]", part) for index, part in enumerate(value))
    elif isinstance(value, set | frozenset):
        yield from ((f"{path}{{}}", part) for part in value)
    elif isinstance(value, msgspec.Struct):
        yield from ((f"{path}.{name}", getattr(value, name)) for name in value.__struct_fields__)
    elif hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        yield from ((f"{path}.{name}", getattr(value, name, None)) for name in value.__dataclass_fields__)


def _problem(value: object, error: BaseException) -> str:
    if isinstance(error, NotImplementedError | TypeError):
        return f"{type(value).__qualname__} is not a JSON value"
    return f"{type(value).__qualname__}: {message_of(error)}"
