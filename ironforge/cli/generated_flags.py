"""Settings as flags: a command gets the flags of the settings that are declared for it, and their checked values."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, get_type_hints

import typer

from ironforge.process.handler_environment import start_without_pepper
from ironforge.settings import Settings, environment_name, load
from ironforge.settings.declaration import DECLARED, DEFAULTS, TYPES, Command, settings_of

Function = Callable[..., Any]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON document on stdout, for programs")]


def with_flags(
    command: Function, name: str, flags: Sequence[inspect.Parameter], made_of: Callable[[dict[str, Any]], Any]
) -> Function:
    """`command` with these flags in the place of its parameter `name`, which receives what is made of their values."""
    hints = get_type_hints(command, include_extras=True)

    @functools.wraps(command)
    def wrapper(**given: Any) -> Any:
        values = {flag.name: given.pop(flag.name) for flag in flags}
        return command(**{name: made_of(values)}, **given)

    parameters: list[inspect.Parameter] = []
    for own, parameter in inspect.signature(command).parameters.items():
        parameters += flags if own == name else [parameter.replace(annotation=hints[own])]
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapper


def takes_settings(of: Command | str, *, without_api: bool = False) -> Callable[[Function], Function]:
    """Give a command the flags of a kind of commands, or of one setting; its parameter `settings` receives the result.

    `without_api`: those that only the API has a use for are neither read nor handed to child processes.
    """

    def settings_from(flags: dict[str, Any]) -> Settings:
        if without_api:
            start_without_pepper()
        return load(**flags)

    flags = [_setting_flag(name) for name in ([of] if isinstance(of, str) else settings_of(of))]
    return lambda command: with_flags(command, "settings", flags, settings_from)


def flag(name: str, kind: Any, text: str, *other_names: str) -> inspect.Parameter:
    """An option of a command that need not be given; None: it is not."""
    option = typer.Option(flag_name(name), *other_names, help=text, show_default=False)
    annotation = Annotated[kind | None, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def flag_name(name: str) -> str:
    return "--" + name.replace("_", "-")


def _setting_flag(name: str) -> inspect.Parameter:
    default, setting = getattr(DEFAULTS, name), DECLARED[name]
    shown = ",".join(default) if isinstance(default, tuple) else f"{default:g}" if TYPES[name] is float else default
    text = f"{setting.meaning} ({environment_name(name)}" + (f", default {shown})" if shown != "" else ")")
    return flag(name, TYPES[name] if TYPES[name] in (int, float) else str, text, *filter(None, [setting.flag]))
