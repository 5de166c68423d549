"""Settings as flags: a command gets the flags of the settings that are declared for it, and their checked values."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Final, get_type_hints

import typer

from ironforge.process.handler_environment import start_without_pepper
from ironforge.settings import environment_name, load
from ironforge.settings.declaration import DECLARED, DEFAULTS, TYPES, Command, settings_of

DEFAULT_REDIS_URL: Final = "redis://127.0.0.1:6379/0"

Function = Callable[..., Any]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON document on stdout, for programs")]


def takes_settings(
    of: Command | str, *, without_api: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the flags of a kind of commands, or of one setting; its parameter `settings` receives the result.

    `without_api`: those that only the API has a use for are neither read nor handed to child processes.
    """

    names = [of] if isinstance(of, str) else settings_of(of)

    def decorate(command: Function) -> Function:
        hints = get_type_hints(command, include_extras=True)
        own = [
            parameter.replace(annotation=hints[parameter.name])
            for parameter in inspect.signature(command).parameters.values()
            if parameter.name != "settings"
        ]

        @functools.wraps(command)
        def wrapper(**given: Any) -> Any:
            flags = {name: given.pop(name) for name in names}
            if without_api:
                start_without_pepper()
            return command(settings=load(**flags), **given)

        parameters = [*own, *(_flag(name) for name in names)]
        wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return wrapper

    return decorate


def _flag(name: str) -> inspect.Parameter:
    default, setting = getattr(DEFAULTS, name), DECLARED[name]
    shown = ",".join(default) if isinstance(default, tuple) else f"{default:g}" if TYPES[name] is float else default
    text = f"{setting.meaning} ({environment_name(name)}" + (f", default {shown})" if shown != "" else ")")
    names = ["--" + name.replace("_", "-"), *([setting.flag] if setting.flag else [])]
    option = typer.Option(*names, help=text, show_default=False)
    kind = TYPES[name] if TYPES[name] in (int, float) else str
    annotation = Annotated[kind | None, option]  # type: ignore[valid-type] # a type made at run time
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
