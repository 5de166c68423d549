"""Exceptions as text: the type, message and traceback that a record keeps of a failed attempt.

Nothing here may raise, whatever a user's exception does in its own `__str__`, nor work longer for a larger one: what a
class may override is read past it, and chains, groups and tracebacks are followed only as far as their text is kept.
Every text can be encoded: lone surrogates would otherwise break the record of the job that they describe.
"""

from __future__ import annotations

import itertools
import linecache
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import msgspec

from ironforge.formats.bounds import Count, TimeMs
from ironforge.formats.json_rules import sendable

# How the reason of a job begins that is dead since its retries are used up.
GAVE_UP: Final = "gave up after"

MESSAGE_CHARACTERS: Final = 1_000
TRACE_CHARACTERS: Final = 4_000
NAME_CHARACTERS: Final = 200
LINE_CHARACTERS: Final = 200
# Of an exception, its causes; of a traceback, the innermost frames; of a group, the first of its exceptions.
LINKS: Final = 8
FRAMES: Final = 16
NOTES: Final = 5
GROUP_TRACES: Final = 3
GROUP_WORDS: Final = 5

_PACKAGE: Final = str(Path(__file__).parents[1]) + "/"
_EXAMPLES: Final = _PACKAGE + "examples/"

_qualname: Final = type.__dict__["__qualname__"].__get__
_module: Final = type.__dict__["__module__"].__get__
_members: Final = BaseExceptionGroup.exceptions.__get__
_traceback: Final = BaseException.__dict__["__traceback__"].__get__
_cause: Final = BaseException.__dict__["__cause__"].__get__
_context: Final = BaseException.__dict__["__context__"].__get__
_is_context_hidden: Final = BaseException.__dict__["__suppress_context__"].__get__


class AttemptError(msgspec.Struct, array_like=True, frozen=True):
    """One failed attempt: `attempt` counts from 1, `at_ms` is Unix time, `trace` the end of the traceback.

    `revival`: how often the job had come back from the dead letter by then; its attempts may count from 1 again.
    """

    attempt: Count
    at_ms: TimeMs
    type: str
    message: str
    node: str
    trace: str = ""
    revival: Count = 0


def why(reason: str, errors: Sequence[AttemptError]) -> str:
    """Why a job did not complete: what is said of it; of one that gave up, what its last attempt raised as well."""
    if not errors or (reason and not reason.startswith(GAVE_UP)):
        return reason
    raised = f"{errors[-1].type}: {errors[-1].message}"
    return f"{raised} ({reason})" if reason else raised


class RemoteFailure(Exception):
    """An exception that has already been put into words, in a child process for one."""

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
    if type(error) is RemoteFailure:
        return error.type_name, error.message, error.trace
    return type_name(error), message_of(error), trace_of(error)


def in_words(error: BaseException) -> str:
    """Type and message on one line."""
    return ": ".join(filter(None, (type_name(error), message_of(error))))


def type_name(error: BaseException) -> str:
    if type(error) is RemoteFailure:
        return error.type_name
    cls = type(error)
    name, module = _qualname(cls), _module(cls)
    known = type(module) is str and module != "builtins"
    return _cut(f"{module}.{name}" if known else name, NAME_CHARACTERS)


def message_of(what: object) -> str:
    """The text of an exception, or of whatever else a handler gave as a reason; of a group, also what is in it."""
    try:
        text = str(what)
    except BaseException as broken:  # noqa: BLE001 - a user's __str__ may raise anything, SystemExit included
        text = f"(its message could not be read: {type_name(broken)})"
    text = _cut(text, MESSAGE_CHARACTERS)
    if issubclass(type(what), BaseExceptionGroup):
        return _cut(f"{text}: {_members_in_words(what)}", MESSAGE_CHARACTERS)
    return text


def leaves_of(error: BaseException) -> Iterator[BaseException]:
    """The exceptions in a group and in the groups within it, one after the other; one that is no group is itself."""
    waiting: list[Iterator[BaseException]] = [iter((error,))]
    while waiting:
        one = next(waiting[-1], None)
        if one is None:
            waiting.pop()
        elif issubclass(type(one), BaseExceptionGroup):
            waiting.append(iter(_members(one)))
        else:
            yield one


def trace_of(error: BaseException) -> str:
    """The end of the traceback, without the frames of IronForge itself."""
    try:
        return _trace(error)[-TRACE_CHARACTERS:]
    except BaseException:  # noqa: BLE001 - looking up source lines calls the loaders of the user's modules
        return ""


def _cut(text: str, characters: int) -> str:
    """A plain text, also of a subclass that overrides what texts can do."""
    return sendable(str.__getitem__(text, slice(characters)))


def _members_in_words(group: Any) -> str:
    leaves = list(itertools.islice(leaves_of(group), GROUP_WORDS + 1))
    words = [in_words(leaf) for leaf in leaves[:GROUP_WORDS]]
    return "; ".join(words if len(leaves) <= GROUP_WORDS else [*words, "and more"])


def _trace(error: BaseException, *, within: bool = True) -> str:
    """As Python prints it: the first cause first, `error` last. `within`: also what happened in a group."""
    texts: list[str] = []
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        if len(texts) == LINKS:
            texts.append("(earlier exceptions are left out)\n")
            break
        seen.add(id(link))
        text = _one(link, within=within)
        cause = _cause(link)
        before = "was the direct cause of" if cause is not None else "was being handled before"
        link = cause if cause is not None or _is_context_hidden(link) else _context(link)
        texts.append(text if link is None else f"\nThe above exception {before} this one:\n\n{text}")
    return "".join(reversed(texts))


def _one(error: BaseException, *, within: bool) -> str:
    if type(error) is RemoteFailure:
        return error.trace or f"{error.type_name}: {error.message}\n"
    frames = list(_frames(_traceback(error)))
    said = "\n".join([in_words(error), *_notes(error)])
    # Whatever a message says, it cannot pass for a line of the log that the trace stands in.
    lines = ["Traceback (most recent call last):\n" if frames else "", *frames, said.replace("\n", "\n    "), "\n"]
    if within and issubclass(type(error), BaseExceptionGroup):
        for leaf in itertools.islice(leaves_of(error), GROUP_TRACES):
            lines += ["  | ", _trace(leaf, within=False).rstrip("\n").replace("\n", "\n  | "), "\n"]
    return "".join(lines)


def _notes(error: BaseException) -> Iterator[str]:
    notes = getattr(error, "__notes__", ())
    if type(notes) is list:
        yield from map(message_of, notes[:NOTES])


def _frames(trace: TracebackType | None) -> Iterator[str]:
    """The innermost frames that are not of IronForge, as Python prints them."""
    kept: deque[TracebackType] = deque(maxlen=FRAMES)
    while trace is not None:
        if not _is_own(trace.tb_frame.f_code.co_filename):
            kept.append(trace)
        trace = trace.tb_next
    for one in kept:
        code = one.tb_frame.f_code
        file, name = _cut(code.co_filename, NAME_CHARACTERS), _cut(code.co_name, NAME_CHARACTERS)
        yield f'  File "{file}", line {one.tb_lineno}, in {name}\n'
        line = linecache.getline(code.co_filename, one.tb_lineno, one.tb_frame.f_globals)
        if text := line[: 10 * LINE_CHARACTERS].strip():
            yield f"    {_cut(text, LINE_CHARACTERS)}\n"


def _is_own(filename: str) -> bool:
    return filename.startswith(_PACKAGE) and not filename.startswith(_EXAMPLES)
