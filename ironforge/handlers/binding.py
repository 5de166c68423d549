"""From a job's JSON payload to the arguments of its handler: the signature is read once, at registration.

Fields that the handler does not name are ignored, since the submitter may be newer than the node, unless `strict`.

A handler takes either the whole payload (one parameter that is a Struct, a dataclass, a TypedDict or a
pydantic model, or one named `payload`) or one JSON field per parameter. Decoding goes from the record's bytes
to typed arguments in one step; only when that fails is the payload looked at again (`payload_errors`).
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import msgspec

from ironforge.errors import ConfigError
from ironforge.handlers.payload_errors import (
    NOTHING,
    Field,
    Shape,
    build,
    explain,
    explain_other,
    is_pydantic,
    names_of,
    shape_of,
)
from ironforge.handlers.payload_schema import parts_of, schema_of
from ironforge.job.context import Context

Arguments = dict[str, Any]

_JSON_VALUES: Final[tuple[object, ...]] = (None, True, 0, 0.0, "", [], {})
_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Binder:
    """Decodes payloads for one handler. `context_name` is the parameter that wants the Context, if any."""

    __slots__ = ("_decode", "_model", "_optional", "_shape", "context_name")

    def __init__(
        self,
        decode: Callable[[bytes], Arguments],
        context_name: str | None,
        shape: Shape,
        model: Any = Any,
        *,
        optional: bool = False,
    ) -> None:
        self._decode = decode
        self.context_name = context_name
        self._shape = shape
        self._model = model
        self._optional = optional

    def payload_schema(self) -> dict[str, Any] | None:
        """JSON Schema 2020-12 that accepts each payload which `bind` accepts; None where anything may fit."""
        names = [field.name for field in self._shape.fields] if self._shape.closed else ()
        return schema_of(self._model, names, optional=self._optional)

    def bind(self, payload: bytes) -> Arguments:
        """The keyword arguments, without the context. Raises InvalidPayload naming every wrong field."""
        try:
            return self._decode(payload)
        except msgspec.DecodeError as error:
            raise explain(payload, self._shape, error) from None
        except Exception as error:  # noqa: BLE001 - pydantic's, or of a user's __post_init__
            raise explain_other(error) from None


def binder_of(function: Callable[..., Any], provided: Collection[str] = (), *, strict: bool = False) -> Binder:
    """`provided`: parameters that get something else. Raises ConfigError where the others fit no JSON payload."""
    hints = hints_of(function)
    context_name: str | None = None
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        _check_parameter(function, parameter, hints)
        if hints.get(parameter.name) is Context:
            if context_name is not None:
                raise _unbindable(function, "takes the context twice")
            context_name = parameter.name
        elif parameter.name not in provided:
            parameters.append(parameter)
    if not parameters and not strict:
        return Binder(lambda _: {}, context_name, Shape())
    try:
        if len(parameters) == 1 and _is_whole(parameters[0].name, hints.get(parameters[0].name, Any)):
            return _whole(function, parameters[0], hints.get(parameters[0].name, Any), context_name, strict=strict)
        return _by_field(function.__name__, parameters, hints, context_name, strict=strict)
    except TypeError as error:
        problem = f"has a parameter that no JSON value fits: {error}; a lifespan that yields it must stand before"
        raise _unbindable(function, problem) from None


def is_of_payloads(annotation: Any) -> bool:
    """Whether fields of payloads have this type in any application: text, numbers, lists of those and so on."""
    if isinstance(annotation, typing.NewType) or _bare(annotation) is not annotation or _is_whole("", annotation):
        return False
    try:
        _decoder(annotation)
    except TypeError:
        return False
    return True


def hints_of(function: Callable[..., Any], what: str = "handler") -> dict[str, Any]:
    """The annotations of a handler, or what it is. Raises ConfigError for one that cannot be resolved."""
    try:
        hints = typing.get_type_hints(function, include_extras=True)
        return {name: _widened(hint) for name, hint in hints.items()}
    except NameError as error:
        problem = f"has an annotation that cannot be resolved ({error}): define that type at module level"
        raise _unbindable(function, problem, what) from None


def _check_parameter(function: Callable[..., Any], parameter: inspect.Parameter, hints: Mapping[str, Any]) -> None:
    if parameter.kind in _VARIADIC:
        raise _unbindable(function, f"takes *{parameter.name}: name every parameter instead")
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        raise _unbindable(function, f"takes {parameter.name!r} by position only: remove the '/'")
    if parameter.name not in hints and parameter.name != "payload":
        raise _unbindable(
            function,
            f"has a parameter {parameter.name!r} without annotation: annotate it, or call it 'payload'",
        )


def _unbindable(function: Callable[..., Any], problem: str, what: str = "handler") -> ConfigError:
    return ConfigError(f"{what} {function.__qualname__}() {problem}")


def _widened(annotation: Any) -> Any:
    """The same, where unions that `object` is one of are what they mean: anything. msgspec knows no such union."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return typing.Annotated[(_widened(arguments[0]), *annotation.__metadata__)]
    if origin in (typing.Union, types.UnionType) and any(_is_object(part) for part in arguments):
        return Any
    widened = tuple(map(_widened, arguments))
    if all(new is old for new, old in zip(widened, arguments, strict=True)):
        return annotation
    return typing.Union[widened] if origin is types.UnionType else origin[widened]  # noqa: UP007


def _is_object(annotation: Any) -> bool:
    bare = _bare(annotation)
    while isinstance(bare, typing.NewType):
        bare = _bare(bare.__supertype__)
    return bare is object


def _bare(annotation: Any) -> Any:
    return annotation.__origin__ if typing.get_origin(annotation) is typing.Annotated else annotation


def _is_whole(name: str, annotation: Any) -> bool:
    cls = _bare(annotation)
    if name == "payload" or is_pydantic(cls) or typing.is_typeddict(cls):
        return True
    return isinstance(cls, type) and (issubclass(cls, msgspec.Struct) or dataclasses.is_dataclass(cls))


def _whole(
    function: Callable[..., Any],
    parameter: inspect.Parameter,
    annotation: Any,
    context_name: str | None,
    *,
    strict: bool,
) -> Binder:
    name, cls = parameter.name, _bare(annotation)
    decode = cls.model_validate_json if is_pydantic(cls) else _decoder(annotation)
    shape = shape_of(cls)
    if strict:
        names = names_of(cls)
        if not names:
            raise _unbindable(function, f"takes any field in {name!r}: strict=True could refuse none")
        others = sorted(names.difference(field.name for field in shape.fields))
        shape = Shape(shape.fields + tuple(Field(other, Any, required=False) for other in others), closed=True)
        decode = _refusing_others(decode, names)
    if parameter.default is inspect.Parameter.empty:
        return Binder(lambda payload: {name: decode(payload)}, context_name, shape, annotation)
    return Binder(
        lambda payload: {} if payload in NOTHING else {name: decode(payload)},
        context_name,
        shape,
        annotation,
        optional=True,
    )


def _refusing_others(decode: Callable[[bytes], Any], names: Collection[str]) -> Callable[[bytes], Any]:
    """The same for objects of these fields alone. What is inside them is for their own types to refuse."""

    def decode_known(payload: bytes) -> Any:
        value, given = decode(payload), msgspec.json.decode(payload)
        if isinstance(given, dict) and any(name not in names for name in given):
            raise msgspec.ValidationError("unknown fields")
        return value

    return decode_known


def _by_field(
    name: str,
    parameters: list[inspect.Parameter],
    hints: Mapping[str, Any],
    context_name: str | None,
    *,
    strict: bool,
) -> Binder:
    definition: list[Any] = []
    for parameter in parameters:
        if parameter.default is inspect.Parameter.empty:
            definition.append((parameter.name, hints[parameter.name]))
        else:
            default = msgspec.field(default_factory=functools.partial(_same, parameter.default))
            definition.append((parameter.name, hints[parameter.name], default))
    struct = msgspec.defstruct(f"{name}_payload", definition, kw_only=True, forbid_unknown_fields=strict)
    decode, asdict = _decoder(struct), msgspec.structs.asdict
    return Binder(
        lambda payload: asdict(decode(b"{}" if payload in NOTHING else payload)),
        context_name,
        shape_of(struct),
        struct,
        optional=all(parameter.default is not inspect.Parameter.empty for parameter in parameters),
    )


def _same(value: Any) -> Any:
    """A default as Python has it: the function gets the very object that it declared."""
    return value


def _decoder(annotation: Any) -> Callable[[bytes], Any]:
    """Raises TypeError for a type that JSON has no value for."""
    _check_types(msgspec.inspect.type_info(annotation))
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(annotation, dec_hook=build)
    return decoder.decode


def _check_types(whole: msgspec.inspect.Type) -> None:
    """msgspec itself would notice a class that it cannot build only when the first payload arrives."""
    for part in parts_of(whole, set()):
        if isinstance(part, msgspec.inspect.CustomType) and not (is_pydantic(part.cls) or _is_of_json(part.cls)):
            raise TypeError(f"{part.cls.__qualname__} cannot be built from JSON")


def _is_of_json(cls: type) -> bool:
    """Whether JSON values are instances of it as they are: of `object` all of them."""
    return any(isinstance(value, cls) for value in _JSON_VALUES)
