"""Checks that JSON means the same to every reader, and refuses the rest with its place and a reason.

Parsers disagree about duplicate keys, NaN, 2^64 and lone surrogates: a payload with one of them would reach
a handler in another language as a different job. So all of them are refused at the door. The check is a few passes
of compiled code, whatever the text is; what it holds is counted before any of it is built, because a text of `[],[],…`
takes twenty times its size as lists. Only a refused text is parsed a second time, to find out where the trouble is.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from ironforge.codes import Code
from ironforge.errors import InvalidJob
from ironforge.formats.json_rules import (
    MAX_DEPTH,
    MAX_INTEGER,
    MIN_INTEGER,
    SHOWN_CHARACTERS,
    Breach,
    float_out_of_range,
    half_of_a_pair,
    integer_out_of_range,
    no_number,
    repeated_key,
    sendable,
)
from ironforge.job.checks import MAX_VALUES, most_values

# A text with more values than FEW, and more than one in SPARSE bytes, is worth the pass that counts them exactly.
_FEW: Final = 64
_SPARSE: Final = 16
# From here on the garbage collector would look through what is being built again and again.
_MANY: Final = 2_000
SPACE: Final = b" \t\r\n"
_INTEGER_DIGITS: Final = len(str(MIN_INTEGER))
_SHAPE: Final = bytes.maketrans(b"{}", b"[]")
_NOT_SHAPE: Final = bytes(set(range(256)) - set(b'[]{},"'))

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode
_sorted: Final = msgspec.json.Encoder(order="deterministic").encode
_encode_64_bit: Final = msgspec.msgpack.Encoder().encode


class InvalidJson(InvalidJob):
    """A text that is refused. `field` is the path to the culprit (`payload.id`)."""

    def __init__(self, code: Code, message: str, *, path: str | None = None) -> None:
        super().__init__(sendable(message), code=code, field=None if path is None else sendable(path))


def canonical(body: bytes, *, in_order: bool = False, values: int | None = None, most: int = MAX_VALUES) -> bytes:
    """The same value without white space and needless escapes; `in_order`: with sorted keys, so that all spellings of
    a value become one; `values`: as many as were counted before; `most` of those that are let through.

    Raises InvalidJson with one of the codes body_required, invalid_json, too_deep, too_many_values,
    number_out_of_range, invalid_number, duplicate_key, invalid_unicode.
    """
    if not body or body.isspace():
        raise InvalidJson("body_required", "the body is empty, a JSON value is expected")
    values = count_values(body, most) if values is None else values
    if values > most:
        raise InvalidJson(
            "too_many_values",
            f"the body holds more than {most} values: store large data elsewhere and submit a reference to it",
        )
    if values <= _MANY:
        return _checked(body, in_order=in_order)
    with _uncollected():
        return _checked(body, in_order=in_order)


def _checked(body: bytes, *, in_order: bool) -> bytes:
    try:
        value = _decode(body)
        _encode_64_bit(value)
    except (msgspec.DecodeError, UnicodeDecodeError, OverflowError) as error:
        raise _trouble(body) or InvalidJson("invalid_json", f"the body is not valid JSON: {error}") from None
    encoded = _sorted(value) if in_order else _encode(value)
    # Of a key that is there twice only one is left, with one colon less.
    if encoded.count(b":") != _colons(body) and (trouble := _trouble(body)):
        raise trouble
    return encoded


def _colons(body: bytes) -> int:
    """With those that are spelled as an escape."""
    colons = body.count(b":")
    if b"\\" in body and b"\\u003" in body:
        escapes = body.replace(b"\\\\", b"").lower()
        colons += escapes.count(b"\\u003a")
    return colons


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """The values that are built while the block runs hold no cycles, and are gone at its end."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def count_values(body: bytes, most: int = MAX_VALUES) -> int:
    """How many values `body` holds, or a little more; one with more than `most` is not looked into. Raises InvalidJson
    (too_deep)."""
    values = most_values(body)
    if values <= MAX_DEPTH:
        return values
    dense = values > _FEW and values * _SPARSE > len(body)
    if not dense and body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return values
    shape = _shape(body)
    values = shape.count(b"[") + shape.count(b",") + 1
    if values <= most:
        _check_depth(shape.replace(b",", b""))
    return values


def _shape(body: bytes) -> bytes:
    """The brackets and commas of `body` outside its strings, braces as square ones."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Strings without brackets and commas are two quotes now; so is the end of one with the begin of the next, which
    # may go as well: what lies between them is a string still.
    shape = body.translate(_SHAPE, _NOT_SHAPE).replace(b'""', b"")
    return b"".join(shape.split(b'"')[::2]) if b'"' in shape else shape


def _check_depth(brackets: bytes) -> None:
    """Take away the innermost pairs, level by level: C speed and no recursion, whatever the text is."""
    for _level in range(MAX_DEPTH):
        if b"[]" not in brackets:
            break
        brackets = brackets.replace(b"[]", b"")
    # A pair that is left lies too deep. Without one, the text is as deep as it has brackets that nothing closes.
    if b"[]" in brackets or brackets.count(b"[") > MAX_DEPTH:
        raise InvalidJson("too_deep", f"the body is nested deeper than {MAX_DEPTH} levels")


# --------------------------------------------------------------------------- the slow pass: where is it?


# The way to a value: that to what holds it, and the key or index there. As text it could be longer than the body.
_Trail = tuple[Any, str | int] | None


def _trouble(body: bytes) -> InvalidJson | None:
    """The first thing in `body` that is refused, and its place."""
    try:
        text = body.lstrip(SPACE).decode()
        tree, end = _SLOW.raw_decode(text)
    except UnicodeDecodeError as error:
        return InvalidJson("invalid_unicode", f"the body is not valid UTF-8: {error.reason} at byte {error.start}")
    except json.JSONDecodeError as error:
        return _no_json(error)
    for trail, value in _walk(tree, None):
        if isinstance(value, Breach):
            return _refusal(trail, value)
        if isinstance(value, str) and _is_broken(value):
            return _refusal(trail, half_of_a_pair())
    return _no_json(json.JSONDecodeError("Extra data", text, end)) if text[end:].strip() else None


def _no_json(error: json.JSONDecodeError) -> InvalidJson:
    place = f"line {error.lineno}, column {error.colno}"
    return InvalidJson("invalid_json", f"the body is not valid JSON: {error.msg} at {place}")


def _refusal(trail: _Trail, trouble: Breach) -> InvalidJson:
    steps = []
    while trail is not None:
        trail, step = trail
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step[:SHOWN_CHARACTERS]}")
    path = "".join(reversed(steps)).removeprefix(".")
    return InvalidJson(trouble.code, f"{path or 'the body'}: {trouble}", path=path or None)


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _walk(value: Any, trail: _Trail) -> Iterator[tuple[_Trail, Any]]:
    """Every key and value below `value`, with the way to it. The depth is known to be small."""
    yield trail, value
    if isinstance(value, dict):
        for key, child in value.items():
            yield (trail, key), key
            yield from _walk(child, (trail, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _walk(child, (trail, index))


# What is refused stands in the parsed tree as a Breach.


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, child in pairs:
        value[key] = repeated_key(key) if key in value else child
    return value


def _integer(digits: str) -> Any:
    if len(digits) <= _INTEGER_DIGITS and MIN_INTEGER <= (value := int(digits)) <= MAX_INTEGER:
        return value
    return integer_out_of_range(digits)


def _float(digits: str) -> Any:
    return value if math.isfinite(value := float(digits)) else float_out_of_range(digits)


_SLOW: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=no_number
)
