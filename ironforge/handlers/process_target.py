"""Under which name a child process finds a handler."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ironforge.errors import ConfigError


def target_of(function: Callable[..., Any]) -> tuple[str, str, str]:
    """Module, file (of a script only) and name under which a child finds `function`.

    Raises ConfigError when it cannot: lambdas, and functions inside functions.
    """
    name, module = function.__qualname__, function.__module__
    if "<" in name:
        raise ConfigError(
            f'handler {name}() with executor="process" must stand at the top of its module: '
            "the child process imports it by name"
        )
    if module != "__main__":
        return module, "", name
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return spec.name, "", name
    path = getattr(main, "__file__", None)
    if path is None:
        raise ConfigError(f'handler {name}() with executor="process" must be in a file, not in an interactive session')
    return module, str(Path(path).resolve()), name
