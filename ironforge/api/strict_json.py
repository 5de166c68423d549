"""Reads JSON that means the same to every reader, and refuses the rest with its place and a reason.

Parsers disagree about duplicate keys, NaN, 2^64 and lone surrogates: a payload with one of them would reach
a handler in another language as a different job. So all of them are refused at the door. The hot path is
the standard library's C scanner with three hooks; only a refused text is parsed a second time, to find out
where the trouble is.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

MAX_DEPTH: Final = 32
# What a 64-bit integer, signed or not, can hold: the most that common JSON readers and msgpack agree on.
MIN_INTEGER: Final = -(2**63)
MAX_INTEGER: Final = 2**64 - 1

_INTEGER_DIGITS: Final = len(str(MIN_INTEGER))
_STRINGS: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_SQUARE: Final = bytes.maketrans(b"{}", b"[]")
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


class InvalidJson(ValueError):
    """A text that is refused. `code` is stable for programs, `path` leads to the culprit (`payload.id`)."""

    def __init__(self, code: str, message: str, *, path: str | None = None) -> None:
        super().__init__(_sendable(message))
        self.code = code
        self.path = None if path is None else _sendable(path)


def _sendable(text: str) -> str:
    """Paths are made of keys, and a key may hold half of a surrogate pair: the refusal must not."""
    return text.encode(errors="replace").decode()


def parse(body: bytes | bytearray | memoryview) -> Any:
    """The parsed value. Raises InvalidJson with one of the codes body_required, invalid_json, too_deep,
    number_out_of_range, invalid_number, duplicate_key, invalid_unicode."""
    body = bytes(body)
    if not body or body.isspace():
        raise InvalidJson("body_required", "the body is empty, a JSON value is expected")
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        _check_depth(body)
    text = _text(body)
    try:
        value = _FAST.decode(text)
    except json.JSONDecodeError as error:
        raise InvalidJson(
            "invalid_json",
            f"the body is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}",
        ) from None
    except _Suspicious:
        raise _diagnosis(text) from None
    if _SURROGATE.search(body):
        _refuse_surrogates(value)
    return value


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InvalidJson(
            "invalid_unicode", f"the body is not valid UTF-8: {error.reason} at byte {error.start}"
        ) from None


def _check_depth(body: bytes) -> None:
    """Take away the innermost pairs, level by level: C speed and no recursion, whatever the text is."""
    brackets = _STRINGS.sub(b"", body).translate(_SQUARE, _NOT_BRACKETS)
    for _level in range(MAX_DEPTH):
        if b"[]" not in brackets:
            break
        brackets = brackets.replace(b"[]", b"")
    # A pair that is left lies too deep. Without one, the text is as deep as it has brackets that nothing closes.
    if b"[]" in brackets or brackets.count(b"[") > MAX_DEPTH:
        raise InvalidJson("too_deep", f"the body is nested deeper than {MAX_DEPTH} levels")


# --------------------------------------------------------------------------- hooks of the fast pass


class _Suspicious(Exception):
    """Something that is JSON for Python but not for everybody."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _Suspicious
    return value


def _integer(digits: str) -> int:
    if len(digits) > _INTEGER_DIGITS:
        raise _Suspicious
    value = int(digits)
    if not MIN_INTEGER <= value <= MAX_INTEGER:
        raise _Suspicious
    return value


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise _Suspicious
    return value


def _constant(name: str) -> float:
    raise _Suspicious(name)


_FAST: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)

# --------------------------------------------------------------------------- the slow pass: where is it?


class _Trouble:
    """Stands in the parsed tree where something was refused."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message


def _diagnosis(text: str) -> InvalidJson:
    try:
        tree = _SLOW.decode(text)
    except json.JSONDecodeError as error:
        return InvalidJson(
            "invalid_json",
            f"the body is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}",
        )
    path, trouble = next((path, value) for path, value in _walk(tree, "") if isinstance(value, _Trouble))
    return InvalidJson(trouble.code, f"{path or 'the body'}: {trouble.message}", path=path or None)


def _refuse_surrogates(tree: Any) -> None:
    for path, value in _walk(tree, ""):
        if isinstance(value, str) and _is_broken(value):
            raise InvalidJson("invalid_unicode", f"{path or 'the body'}: half of a surrogate pair", path=path)


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _walk(value: Any, path: str) -> Any:
    """Every key and value below `value`, with its path. The depth is known to be small."""
    yield path, value
    if isinstance(value, dict):
        for key, child in value.items():
            below = f"{path}.{key}" if path else key
            yield below, key
            yield from _walk(child, below)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _walk(child, f"{path}[{index}]")


def _marked_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, child in pairs:
        repeated = _Trouble("duplicate_key", f"the key {key[:100]!r} appears twice in one object")
        value[key] = repeated if key in value else child
    return value


def _marked_integer(digits: str) -> Any:
    try:
        return _integer(digits)
    except _Suspicious:
        return _Trouble("number_out_of_range", f"{_short(digits)} is out of range: {MIN_INTEGER} to {MAX_INTEGER}")


def _marked_float(digits: str) -> Any:
    try:
        return _float(digits)
    except _Suspicious:
        return _Trouble("number_out_of_range", f"{_short(digits)} is out of range of a 64-bit float")


def _marked_constant(name: str) -> Any:
    return _Trouble("invalid_number", f"{name} is not a JSON number: use null or a text")


def _short(digits: str) -> str:
    return digits if len(digits) <= 30 else f"{digits[:20]}… ({len(digits)} digits)"


_SLOW: Final = json.JSONDecoder(
    object_pairs_hook=_marked_object,
    parse_int=_marked_integer,
    parse_float=_marked_float,
    parse_constant=_marked_constant,
)
