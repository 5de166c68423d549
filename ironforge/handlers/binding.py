"""From a job's JSON payload to the arguments of its handler: the signature is read once, at registration.

A handler takes either the whole payload (one parameter that is a Struct, a dataclass, a TypedDict or a
pydantic model, or one named `payload`) or one JSON field per parameter. Decoding goes from the record's bytes
to typed arguments in one step; only when that fails is the payload looked at again, to name every wrong field
at once.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import itertools
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from ironforge.errors import ConfigError, InvalidPayload
from ironforge.formats.suggest import closest
from ironforge.job.context import Context
from ironforge.job.tracebacks import in_words, message_of

Arguments = dict[str, Any]

SHOWN: Final = 20
_NOTHING: Final = (b"", b"null")
_JSON_VALUES: Final[tuple[object, ...]] = (None, True, 0, 0.0, "", [], {})
_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Field(typing.NamedTuple):
    """One expected field of the payload; `name` as it stands in the JSON."""

    name: str
    type: Any
    required: bool


class Shape(typing.NamedTuple):
    """What an object in the payload may hold; `closed`: nothing else."""

    fields: tuple[Field, ...] = ()
    closed: bool = False


class Binder:
    """Decodes payloads for one handler. `context_name` is the parameter that wants the Context, if any."""

    __slots__ = ("_decode", "_shape", "context_name")

    def __init__(self, decode: Callable[[bytes], Arguments], context_name: str | None, shape: Shape) -> None:
        self._decode = decode
        self.context_name = context_name
        self._shape = shape

    def bind(self, payload: bytes) -> Arguments:
        """The keyword arguments, without the context. Raises InvalidPayload naming every wrong field."""
        try:
            return self._decode(payload)
        except msgspec.DecodeError as error:
            raise _explain(payload, self._shape, error) from None
        except Exception as error:  # noqa: BLE001 - pydantic's, or of a user's __post_init__
            raise _explain_other(error) from None


def binder_of(function: Callable[..., Any]) -> Binder:
    """Raises ConfigError when the signature cannot be bound to a JSON payload."""
    hints = _hints(function)
    context_name: str | None = None
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        _check_parameter(function, parameter, hints)
        if hints.get(parameter.name) is Context:
            if context_name is not None:
                raise _unbindable(function, "takes the context twice")
            context_name = parameter.name
        else:
            parameters.append(parameter)
    if not parameters:
        return Binder(lambda _: {}, context_name, Shape())
    try:
        if len(parameters) == 1 and _is_whole(parameters[0].name, hints.get(parameters[0].name, Any)):
            name = parameters[0].name
            return _whole(name, hints.get(name, Any), context_name, parameters[0].default)
        return _by_field(function.__name__, parameters, hints, context_name)
    except TypeError as error:
        raise _unbindable(function, f"has a parameter that no JSON value fits: {error}") from None


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        hints = typing.get_type_hints(function, include_extras=True)
        return {name: _widened(hint) for name, hint in hints.items()}
    except NameError as error:
        raise _unbindable(
            function, f"has an annotation that cannot be resolved ({error}): define that type at module level"
        ) from None


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


def _unbindable(function: Callable[..., Any], problem: str) -> ConfigError:
    return ConfigError(f"handler {function.__qualname__}() {problem}")


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


def is_pydantic(cls: Any) -> bool:
    """Without importing pydantic: whoever uses it has imported it."""
    return isinstance(cls, type) and hasattr(cls, "model_validate_json") and hasattr(cls, "model_dump")


def _is_whole(name: str, annotation: Any) -> bool:
    cls = _bare(annotation)
    if name == "payload" or is_pydantic(cls) or typing.is_typeddict(cls):
        return True
    return isinstance(cls, type) and (issubclass(cls, msgspec.Struct) or dataclasses.is_dataclass(cls))


def _whole(name: str, annotation: Any, context_name: str | None, default: Any) -> Binder:
    cls = _bare(annotation)
    decode = cls.model_validate_json if is_pydantic(cls) else _decoder(annotation)
    if default is inspect.Parameter.empty:
        return Binder(lambda payload: {name: decode(payload)}, context_name, _shape_of(cls))
    return Binder(lambda payload: {} if payload in _NOTHING else {name: decode(payload)}, context_name, _shape_of(cls))


def _by_field(
    name: str, parameters: list[inspect.Parameter], hints: Mapping[str, Any], context_name: str | None
) -> Binder:
    definition: list[Any] = []
    for parameter in parameters:
        if parameter.default is inspect.Parameter.empty:
            definition.append((parameter.name, hints[parameter.name]))
        else:
            default = msgspec.field(default_factory=functools.partial(_same, parameter.default))
            definition.append((parameter.name, hints[parameter.name], default))
    struct = msgspec.defstruct(f"{name}_payload", definition, kw_only=True, forbid_unknown_fields=True)
    decode, asdict = _decoder(struct), msgspec.structs.asdict
    return Binder(
        lambda payload: asdict(decode(b"{}" if payload in _NOTHING else payload)),
        context_name,
        _shape_of(struct),
    )


def _same(value: Any) -> Any:
    """A default as Python has it: the function gets the very object that it declared."""
    return value


def _decoder(annotation: Any) -> Callable[[bytes], Any]:
    """Raises TypeError for a type that JSON has no value for."""
    _check_type(msgspec.inspect.type_info(annotation), set())
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(annotation, dec_hook=_build)
    return decoder.decode


def _check_type(part: Any, seen: set[int]) -> None:
    """msgspec itself would notice a class that it cannot build only when the first payload arrives."""
    if id(part) in seen or not isinstance(part, tuple | msgspec.inspect.Type | msgspec.inspect.Field):
        return
    seen.add(id(part))
    if isinstance(part, msgspec.inspect.CustomType) and not (is_pydantic(part.cls) or _is_of_json(part.cls)):
        raise TypeError(f"{part.cls.__qualname__} cannot be built from JSON")
    for inner in part if isinstance(part, tuple) else msgspec.structs.astuple(part):
        _check_type(inner, seen)


def _is_of_json(cls: type) -> bool:
    """Whether JSON values are instances of it as they are: of `object` all of them."""
    return any(isinstance(value, cls) for value in _JSON_VALUES)


def _build(cls: Any, value: Any) -> Any:
    """For the types that msgspec does not know and we do: pydantic models, and those that values have already."""
    if not is_pydantic(cls):
        return value  # msgspec looks whether it is one
    try:
        return cls.model_validate(value)
    except ValueError as error:
        raise ValueError("; ".join(_pydantic_problems(error)) or message_of(error)) from None


# --------------------------------------------------------------------------- saying what is wrong


def _shape_of(cls: Any) -> Shape:
    """What to explain an invalid payload by; without fields for types that have none."""
    if isinstance(cls, type) and issubclass(cls, msgspec.Struct):
        known = tuple(Field(f.encode_name, f.type, f.required) for f in msgspec.structs.fields(cls))
        return Shape(known, cls.__struct_config__.forbid_unknown_fields)
    if isinstance(cls, type) and dataclasses.is_dataclass(cls):
        hints = typing.get_type_hints(cls, include_extras=True)
        given = [field for field in dataclasses.fields(cls) if field.init]
        return Shape(tuple(Field(f.name, hints[f.name], _is_required(f)) for f in given))
    return Shape()


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _explain(payload: bytes, shape: Shape, error: msgspec.DecodeError) -> InvalidPayload:
    """Every problem of the payload, not only the first one that the decoder met."""
    try:
        raw = msgspec.json.decode(b"{}" if payload in _NOTHING else payload)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return InvalidPayload(f"payload is not JSON: {error}", field="payload")
    if not isinstance(raw, dict) or not shape.fields:
        return InvalidPayload(f"payload: {_path(str(error), 'payload')}", field="payload")
    problems: dict[str, str] = {}
    names = [field.name for field in shape.fields]
    for field in shape.fields:
        if field.name in raw:
            try:
                msgspec.convert(raw[field.name], field.type, dec_hook=_build)
            except Exception as wrong:  # noqa: BLE001 - msgspec's, or of a user's __post_init__
                problems[field.name] = _path(message_of(wrong), field.name)
        elif field.required:
            problems[field.name] = "required, but missing"
    if shape.closed:
        unknown = (name for name in raw if name not in names)
        # Looking for what was meant costs more than all the rest, and a payload may have 100,000 fields.
        problems.update({name: _unknown(name, names) for name in itertools.islice(unknown, SHOWN)})
    if not problems:  # a rule over several fields, or one inside a nested object
        return InvalidPayload(f"payload: {_path(str(error), 'payload')}", field="payload")
    text = "; ".join(f"{name}: {problem}" for name, problem in list(problems.items())[:SHOWN])
    return InvalidPayload(text, field=next(iter(problems)))


def _unknown(name: str, names: list[str]) -> str:
    close = closest(name, names)
    hint = f"did you mean {close!r}?" if close else f"expected {', '.join(names)}"
    return f"unknown field, {hint}"


def _path(message: str, root: str) -> str:
    """msgspec writes paths from `$`; users know the field's name."""
    return message.replace("`$.", f"`{root}.").replace("`$[", f"`{root}[").removesuffix(" - at `$`")


def _explain_other(error: Exception) -> InvalidPayload:
    problems = _pydantic_problems(error)
    if problems:
        return InvalidPayload("; ".join(problems[:SHOWN]), field=problems[0].partition(":")[0])
    return InvalidPayload(f"payload: {in_words(error)}", field="payload")


def _pydantic_problems(error: Any) -> list[str]:
    """None for an error that is not pydantic's."""
    try:
        return [
            f"{'.'.join(str(part) for part in problem['loc']) or 'payload'}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        ]
    except Exception:  # noqa: BLE001 - whatever the user's error calls by this name
        return []
