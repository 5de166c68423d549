"""Results of steps as JSON, and back as the functions' return annotations say."""

from __future__ import annotations

import functools
import inspect
import types
import typing
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeAlias

import msgspec

from ironforge.errors import SerializationError
from ironforge.handlers.payload_errors import build
from ironforge.job.json_values import encode
from ironforge.job.tracebacks import message_of
from ironforge.steps.errors import InvalidStep, StepTooLarge, UnusableStep
from ironforge.steps.journal import MAX_RESULT_BYTES
from ironforge.steps.names import shown

Decode: TypeAlias = Callable[[bytes], Any]

_plain: Final[Decode] = msgspec.json.Decoder().decode
# Of functions, not of what else may be called: that need not be hashable, nor to be referred to weakly.
_known: Final[weakref.WeakKeyDictionary[types.FunctionType, Decode]] = weakref.WeakKeyDictionary()


def encoded(value: Any, field: str) -> bytes:
    """Raises UnusableStep."""
    try:
        result = encode(value, f"the result of step {shown(field)}")
    except SerializationError as error:
        raise UnusableStep(message_of(error)) from None
    if len(result) > MAX_RESULT_BYTES:
        size = f"{len(result)} bytes, at most {MAX_RESULT_BYTES}"
        raise StepTooLarge(f"the result of step {shown(field)} has {size}: return a reference")
    return result


def decoded(result: bytes, function: Callable[..., Any], field: str) -> Any:
    """Raises InvalidStep for a value that does not fit the annotation."""
    decode = _decode_for(_inner(function))
    try:
        return decode(result)
    except Exception as error:  # noqa: BLE001 - msgspec's, pydantic's, or of a user's __post_init__
        annotation = _named(returned_by(function))
        words = f"what step {shown(field)} has recorded does not fit {annotation}, which its function returns"
        raise InvalidStep(f"{words}: {message_of(error)}") from None


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a call of it only makes what is to be awaited, as far as can be told."""
    inner = _inner(function)
    if type(inner) is types.FunctionType and not inner.__dict__:  # most are: no decorator has left a word in it
        return bool(inner.__code__.co_flags & inspect.CO_COROUTINE)
    inner = inspect.unwrap(inner)
    if inspect.iscoroutinefunction(inner):
        return True
    return not isinstance(inner, type) and inspect.iscoroutinefunction(vars(type(inner)).get("__call__"))


def returned_by(function: Callable[..., Any]) -> Any:
    """Its return annotation; Any without one, or where it cannot be resolved."""
    inner = _inner(function)
    annotation = getattr(inner, "__annotations__", {}).get("return", Any)
    if isinstance(inner, type):
        return Any
    if isinstance(annotation, str):
        annotation = _hint(inner)
    if typing.get_origin(annotation) in (Awaitable, Coroutine):
        return typing.get_args(annotation)[-1]
    return annotation


def _inner(function: Any) -> Any:
    """The function itself, of one with arguments given already, or of a method."""
    while isinstance(function, functools.partial):
        function = function.func
    return function.__func__ if isinstance(function, types.MethodType) else function


def _decode_for(inner: Any) -> Decode:
    if type(inner) is not types.FunctionType:
        return _decode(returned_by(inner))
    if not inner.__annotations__:
        return _plain
    decode = _known.get(inner)
    if decode is None:
        decode = _known[inner] = _decode(returned_by(inner))
    return decode


def _decode(annotation: Any) -> Decode:
    try:
        return _plain if annotation is Any else _decoder(annotation)
    except TypeError:  # a type that JSON says nothing of, or one that cannot be looked up
        return _plain


def _hint(function: Callable[..., Any]) -> Any:
    try:
        return typing.get_type_hints(function, include_extras=True).get("return", Any)
    except Exception:  # noqa: BLE001 - of a name that is known to type checkers alone
        return Any


@functools.lru_cache(maxsize=1_000)
def _decoder(annotation: Any) -> Decode:
    """Raises TypeError."""
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(annotation, dec_hook=build)
    return decoder.decode


def _named(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
