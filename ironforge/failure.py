"""Exceptions as text: the type, message and traceback that a record keeps of a failed attempt.

Nothing here may raise, whatever a user's exception does in its own `__str__`, and every text it returns can
be encoded: lone surrogates would otherwise break the record of the job that they describe.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Final

MESSAGE_CHARACTERS: Final = 1_000
TRACE_CHARACTERS: Final = 4_000

_PACKAGE: Final = str(Path(__file__).parent) + "/"
_EXAMPLES: Final = _PACKAGE + "examples/"


class RemoteFailure(Exception):
    """An exception that a child process has already put into words."""

    def __init__(self, type_name: str, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.type_name = type_name
        self.message = message
        self.trace = trace


class UnusableResult(Exception):
    """A handler returned what cannot be stored; `reason` starts with a stable code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def describe(error: BaseException) -> tuple[str, str, str]:
    """Type name, message and traceback of `error`, cut to what a record keeps."""
    if isinstance(error, RemoteFailure):
        return error.type_name, error.message, error.trace
    return type_name(error), message_of(error), trace_of(error)


def type_name(error: BaseException) -> str:
    cls = type(error)
    return clean(cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}")


def message_of(error: BaseException) -> str:
    try:
        text = str(error)
    except BaseException as broken:  # noqa: BLE001 - a user's __str__ may raise anything, SystemExit included
        text = f"(its message could not be read: {type(broken).__name__})"
    return clean(text[:MESSAGE_CHARACTERS])


def trace_of(error: BaseException) -> str:
    """The end of the traceback, without the frames of IronForge itself."""
    try:
        summary = traceback.TracebackException.from_exception(error)
        _drop_own_frames(summary)
        lines = "".join(summary.format())
    except BaseException:  # noqa: BLE001 - the same reason: formatting calls the user's code
        return ""
    return clean(lines[-TRACE_CHARACTERS:])


def _drop_own_frames(summary: traceback.TracebackException) -> None:
    link: traceback.TracebackException | None = summary
    while link is not None:
        link.stack[:] = [frame for frame in link.stack if not _is_own(frame.filename)]
        link = link.__cause__ or link.__context__


def _is_own(filename: str) -> bool:
    return filename.startswith(_PACKAGE) and not filename.startswith(_EXAMPLES)


def clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
