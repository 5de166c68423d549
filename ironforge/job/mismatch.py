"""What does not fit a type, as a refusal. msgspec says everything in one sentence; programs need it in parts. Its words
are pinned by a test."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeVar, cast, get_args, get_origin

import msgspec

from ironforge.codes import Code
from ironforge.errors import InvalidJob
from ironforge.formats.suggest import closest
from ironforge.formats.timestamps import EXAMPLE

T = TypeVar("T")

_UNKNOWN: Final = re.compile(r"unknown field `([^`]*)`")
_MISSING: Final = re.compile(r"missing required field `([^`]*)`")
_EXPECTED: Final = re.compile(r"Expected `([^`]*)`( (?:[<>]=?|of) .*)?")
_PLACE: Final = re.compile(r" - at `\$\.?(.*)`\Z")
_STEP: Final = re.compile(r"\[|[^.\[\]]+(?!\])")
_WORDS: Final = {
    "array": "an array",
    "bool": "true or false",
    "datetime": f"a time with a zone such as {EXAMPLE}",
    "duration": "",
    "null": "",
    "float": "a number",
    "int": "a whole number",
    "object": "an object",
    "str": "text",
}


def fitted(field: str, given: object, model: type[T]) -> T:
    """`given` as a `model`. Structs that Python made are checked as well, which msgspec does not do. Raises InvalidJob
    with `code`, `field` and `hint`."""
    try:
        return msgspec.convert(_plain(given), model)
    except msgspec.ValidationError as error:
        raise mismatch(str(error), model, field) from None


def mismatch(message: str, model: Any, within: str = "") -> InvalidJob:
    """Of what msgspec says of a value that is no `model`. `within`: the field that holds the value."""
    place = _PLACE.search(message)
    path = place.group(1) if place else ""
    text = message[: place.start()] if place else message
    kinds = _kinds_at(model, path)
    field = _join(within, path)
    of = f"{within}: " if within else ""
    code: Code
    if unknown := _UNKNOWN.search(text):
        name, names = unknown.group(1), _names(kinds)
        close = closest(name, names)
        known = f"known are {', '.join(names)}" if names else "none is known here"
        hint = f"did you mean `{close}`?" if close else known
        return _refused("unknown_field", f"{of}unknown field `{name[:100]}`: {hint}", _join(field, name), hint)
    if missing := _MISSING.search(text):
        name = missing.group(1)
        hint = f"known are {', '.join(_names(kinds))}"
        return _refused("missing_field", f"{of}the field `{name}` is required", _join(field, name), hint)
    if text.startswith("Invalid enum value"):
        hint = f"one of {', '.join(_choices(kinds))}"
        code = "invalid_priority" if field.endswith("priority") else "invalid_type"
        return _refused(code, f"{field}: {text}: {hint}", field, hint)
    expected = _EXPECTED.match(text)
    code = "out_of_range" if expected and expected[2] else "invalid_type"
    return _refused(code, f"{field or 'the body'}: {text}", field, _advice(text, expected))


def within(place: str, error: InvalidJob) -> InvalidJob:
    """The same, of what stands at this place."""
    code, field = cast("Code", error.code), f"{place}.{error.field}" if error.field else place
    begins_with_its_place = error.field is not None and str(error).startswith(f"{error.field}: ")
    message = f"{place}.{error}" if begins_with_its_place else f"{place}: {error}"
    return type(error)(message, code=code, field=field, hint=error.hint)


def place_of(root: str, path: Sequence[str | int]) -> str:
    """As all places are told: `payload.parts[0]`."""
    steps = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return root + steps if root else steps.removeprefix(".")


def _refused(code: Code, message: str, field: str, hint: str | None) -> InvalidJob:
    return InvalidJob(message, code=code, field=field or None, hint=hint)


def _advice(text: str, expected: re.Match[str] | None) -> str:
    if expected is None:  # of all texts that are to be read, a duration alone may be written in another way
        return f"give {_WORDS['datetime']}" if "RFC3339" in text else "give a number of seconds"
    words = dict.fromkeys(filter(None, (_WORDS.get(word, word) for word in expected[1].split(" | "))))
    return f"give {' or '.join(words)}{expected[2] or ''}"


def _plain(given: object) -> object:
    if isinstance(given, msgspec.Struct):
        return dict(zip(given.__struct_encode_fields__, msgspec.structs.astuple(given), strict=True))
    if isinstance(given, list | tuple):
        return [*map(_plain, given)]
    return dict(given) if isinstance(given, Mapping) else given


def _kinds_at(model: Any, path: str) -> list[Any]:
    """The types that a value at this place may have."""
    kinds = _alternatives(model)
    for step in _STEP.findall(path):
        if step == "[":
            inner = [get_args(kind)[0] for kind in kinds if get_origin(kind) in (list, tuple)]
        else:
            inner = [each.type for kind in kinds for each in _fields(kind) if each.encode_name == step]
        kinds = [kind for each in inner for kind in _alternatives(each)]
    return kinds


def _alternatives(hint: Any) -> list[Any]:
    if get_origin(hint) is Annotated:
        return _alternatives(get_args(hint)[0])
    if get_origin(hint) in (list, tuple, Literal) or not get_args(hint):
        return [hint]
    return [kind for each in get_args(hint) for kind in _alternatives(each)]


def _fields(kind: Any) -> Sequence[msgspec.structs.FieldInfo]:
    """Its own first."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return ()
    return sorted(msgspec.structs.fields(kind), key=lambda each: each.name not in kind.__annotations__)


def _names(kinds: Sequence[Any]) -> list[str]:
    return [each.encode_name for kind in kinds for each in _fields(kind)]


def _choices(kinds: Sequence[Any]) -> list[str]:
    found: list[str] = []
    for kind in kinds:
        if get_origin(kind) is Literal:
            found += filter(None, get_args(kind))
        elif isinstance(kind, type) and issubclass(kind, enum.Enum):
            found += [str(each.value) for each in kind]
    return found


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name and not name.startswith("[") else path + name
