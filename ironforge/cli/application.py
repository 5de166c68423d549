"""Finds the user's application: `module:attribute` becomes a Forge, and whatever goes wrong a message to its author.

The folder in which the command runs comes first, as it does for `python script.py`.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from types import ModuleType
from typing import Final

from ironforge.errors import ConfigError
from ironforge.handlers.forge import Forge

ATTRIBUTE: Final = "forge"


def load_application(name: str) -> Forge:
    """The Forge that `name` (`module:attribute`, attribute by default `forge`) stands for. Raises ConfigError."""
    module_name, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise ConfigError(f"{name!r} is not an application: write module:attribute, such as myproject.jobs:forge")
    folder = os.getcwd()  # noqa: PTH109 - sys.path holds text
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return _forge_in(_import(module_name, folder), attribute or ATTRIBUTE)


def _import(name: str, folder: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise ConfigError(
                f"there is no module {error.name!r}, in {folder} or installed: "
                "start in the folder that holds it, or install it"
            ) from None
        raise ConfigError(_failure(name, error)) from error
    except (Exception, SystemExit) as error:
        raise ConfigError(_failure(name, error)) from error


def _failure(name: str, error: BaseException) -> str:
    """One line: what was raised, and the last line of the user's own code that led to it."""
    if isinstance(error, SyntaxError):
        where = f"{error.filename}, line {error.lineno}"
    else:
        frames = [
            frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen")
        ]
        frames = [frame for frame in frames if "importlib" not in frame.filename and frame.filename != __file__]
        where = f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else "while it was loaded"
    reason = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"importing {name} failed with {type(error).__name__}: {reason} ({where})"


def _forge_in(module: ModuleType, attribute: str) -> Forge:
    found = getattr(module, attribute, None)
    if isinstance(found, Forge):
        return found
    forges = [name for name, value in vars(module).items() if isinstance(value, Forge)]
    hint = f"did you mean {module.__name__}:{forges[0]}?" if forges else "make one with `forge = ironforge.Forge()`"
    if not hasattr(module, attribute):
        raise ConfigError(f"module {module.__name__} has no attribute {attribute!r}: {hint}")
    raise ConfigError(f"{module.__name__}:{attribute} is not a Forge but {type(found).__name__}: {hint}")
