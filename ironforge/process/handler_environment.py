"""What handlers find in their environment: not what only the API needs."""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping

from ironforge.settings.declaration import DECLARED, environment_name


def hide_from_handlers(environ: MutableMapping[str, str]) -> bool:
    """Take these settings out of `environ`; True: the pepper was there.

    To be called before the first import of user code, and before the first child process.
    """
    taken = {name: environ.pop(environment_name(name), "") for name, setting in DECLARED.items() if setting.only_api}
    return bool(taken["key_pepper"])


def start_without_pepper() -> None:
    """Have this process not only forget the pepper, but never have had it.

    The environment of its start stays legible to every process of the same user, so its program starts once more.
    """
    if hide_from_handlers(os.environ):
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves
