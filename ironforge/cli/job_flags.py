"""The options of a job as flags, made from their declaration: a new one is a flag as well."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

import msgspec

from ironforge.cli.generated_flags import flag, flag_name, with_flags
from ironforge.errors import InvalidJob
from ironforge.job.options import OPTIONS, Option
from ironforge.job.unique_option import Unique


def takes_job_options(command: Callable[..., Any], *, without: str = "") -> Callable[..., Any]:
    """Give a command a flag for each option but one; its own parameter `options` receives those that were given."""

    def given(options: dict[str, Any]) -> dict[str, Any]:
        return {name: _read(name, value) for name, value in options.items() if value is not None}

    return with_flags(
        command, "options", [_flag(option, without) for option in OPTIONS if option.name != without], given
    )


def _read(name: str, value: Any) -> Any:
    """A unique key may be given as it is, or as the object that HTTP takes; a use of a limit is NAME[:KEY[:UNITS]]."""
    if name == "limits":
        return [_use(text) for text in value]
    if name != "unique":
        return value
    if not value.startswith("{"):
        return {"key": value}
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError as error:
        hint = "give a key, or such an object"
        raise InvalidJob(
            f"--unique begins as a JSON object and is none, {error}: {hint}",
            code="invalid_unique",
            field="unique",
            hint=hint,
        ) from None


def _use(text: str) -> dict[str, Any]:
    name, _, rest = text.partition(":")
    key, colon, units = rest.rpartition(":")
    if not (colon and units.isdecimal()):
        return {"name": name, "key": rest}
    return {"name": name, "key": key, "units": int(units)}


def _flag(option: Option, without: str) -> inspect.Parameter:
    choices = get_args(option.type) if get_origin(option.type) is Literal else ()
    description = option.description.removesuffix(f"; excludes {without}")
    text = f"{', '.join(choices)}; {description}" if choices else description
    for other in (each for each in OPTIONS if "_" in each.name):  # a name of one word may be meant as a word
        text = text.replace(other.name, flag_name(other.name))
    if option.name == "limits":
        return flag("limits", list[str], f"NAME[:KEY[:UNITS]]; repeat it; {text}", "--limit")
    if option.type is Unique:
        text += "; all its fields as a JSON object"
    return flag(option.name, str if choices or option.type is Unique else option.type, text)
