"""What handlers find in their environment: the settings of their node, and not what only the API needs."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, MutableMapping

from ironforge.settings import Settings, environment_of
from ironforge.settings.declaration import DECLARED, environment_name


def hide_from_handlers(environ: MutableMapping[str, str]) -> bool:
    """Take these settings out of `environ`; True: the pepper was there.

    To be called before the first import of user code, and before the first child process.
    """
    taken = {name: environ.pop(environment_name(name), "") for name, setting in DECLARED.items() if setting.only_api}
    return bool(taken["key_pepper"])


def tell_handlers(environ: MutableMapping[str, str], settings: Settings) -> None:
    """What handlers submit, also in processes of their own, goes where their node takes its jobs from, though settings
    were given by flags or made by code."""
    environ.update(environment_of(settings))
    hide_from_handlers(environ)


@contextlib.contextmanager
def told_to_handlers(settings: Settings) -> Iterator[None]:
    """While the block runs."""
    before = dict(os.environ)
    tell_handlers(os.environ, settings)
    try:
        yield
    finally:
        for name in environment_of(settings):
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]


def start_without_pepper() -> None:
    """Have this process not only forget the pepper, but never have had it.

    The environment of its start stays legible to every process of the same user, so its program starts once more.
    """
    if hide_from_handlers(os.environ):
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves
