"""The options of a job as flags, made from their declaration: a new one is a flag as well."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from ironforge.cli.generated_flags import with_flags
from ironforge.job.options import OPTIONS, Option


def takes_job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command a flag for each option; its own parameter `options` receives those that were given."""

    def given(options: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in options.items() if value is not None}

    return with_flags(command, "options", [_flag(option) for option in OPTIONS], given)


def _flag(option: Option) -> inspect.Parameter:
    choices = get_args(option.type) if get_origin(option.type) is Literal else ()
    text = f"{', '.join(choices)}; {option.description}" if choices else option.description
    for other in (each for each in OPTIONS if "_" in each.name):  # a name of one word may be meant as a word
        text = text.replace(other.name, _flag_name(other))
    kind = str if choices else option.type
    annotation = Annotated[kind | None, typer.Option(_flag_name(option), help=text)]  # type: ignore[valid-type]
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _flag_name(option: Option) -> str:
    return "--" + option.name.replace("_", "-")
