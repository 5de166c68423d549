"""What travels between actors: messages as msgpack frames, signals as small frozen values.

A message is always bytes in a mailbox, even inside one process: isolation is then real rather than promised,
and there is no second representation that only breaks once a frame crosses a process boundary.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple, TypeAlias, TypeVar

import msgpack  # type: ignore[import-untyped]

from ironforge.actors.kernel.errors import BadFrame, describe

Message: TypeAlias = tuple[Any, ...]
M = TypeVar("M", bound=Message)

_builders: dict[str, Callable[[tuple[Any, ...]], Message]] = {}
_tags: dict[type, str] = {}


class Exit(Enum):
    """Why an incarnation ended."""

    NORMAL = "normal"
    FAILED = "failed"
    KILLED = "killed"
    NEVER_STARTED = "never started"


class Stop(NamedTuple):
    """End this incarnation after the message in hand."""

    reason: str


class Down(NamedTuple):
    """A monitored incarnation has ended; `incarnation` tells a late notice from a current one."""

    address: str
    incarnation: int
    exit: Exit
    error: BaseException | None


Signal: TypeAlias = Stop | Down


class Frame(NamedTuple):
    """A decoded frame: who sent it, and the ask id its answer belongs to (None for a tell)."""

    message: Message
    sender: str | None
    ask: int | None


def message(cls: type[M]) -> type[M]:
    """Register a NamedTuple class as a message under its class name.

    A classmethod `rebuild(cls, fields)` replaces `_make` for messages whose fields need more than tuples.
    Raises TypeError for a class that is no NamedTuple and for a name that is already taken.
    """
    make = getattr(cls, "_make", None)
    if not (isinstance(cls, type) and issubclass(cls, tuple) and callable(make)):
        raise TypeError(f"{cls!r} is no message: a message is a NamedTuple class")
    tag = cls.__name__
    if tag in _builders:
        raise TypeError(f"there is already a message named {tag!r}: message names are unique in a program")
    hook = getattr(cls, "rebuild", None) if isinstance(vars(cls).get("rebuild"), classmethod) else None
    _builders[tag] = hook or make
    _tags[cls] = tag
    return cls


def tag_of(cls: type) -> str | None:
    """The tag of a registered message class, else None."""
    return _tags.get(cls)


def encode(message: Message, sender: str | None = None, ask: int | None = None) -> bytes:
    """The message as a frame. Raises BadFrame when its class is unregistered or a field cannot be packed."""
    tag = _tags.get(type(message))
    if tag is None:
        raise BadFrame(f"{type(message).__name__} is not a registered message: decorate it with @message")
    return pack((tag, message, sender, ask), tag)


def decode(frame: bytes) -> Frame:
    """The frame's content. Raises BadFrame, and nothing else, for bytes that `encode` did not make."""
    parts = unpack(frame)
    if type(parts) is not tuple or len(parts) != 4:
        raise BadFrame("a frame is an array of tag, fields, sender and ask id")
    tag, fields, sender, ask = parts
    if type(tag) is not str or type(fields) is not tuple:
        raise BadFrame("a frame starts with a tag and an array of fields")
    if not (sender is None or type(sender) is str) or not (ask is None or type(ask) is int):
        raise BadFrame("a frame's sender is text and its ask id a number")
    build = _builders.get(tag)
    if build is None:
        raise BadFrame(f"no message is named {tag[:80]!r}")
    try:
        return Frame(build(fields), sender, ask)
    except Exception as error:  # a rebuild hook is foreign code
        raise BadFrame(f"the fields of {tag} do not fit: {describe(error)}") from error


def pack(value: object, what: str = "reply") -> bytes:
    """Any plain value as msgpack. Raises BadFrame when it cannot be packed."""
    try:
        return msgpack.packb(value)  # type: ignore[no-any-return]
    except Exception as error:
        raise BadFrame(f"{what} cannot be packed: {describe(error)}") from error


def unpack(data: bytes) -> Any:
    """The value of `pack`, sequences as tuples. Raises BadFrame, and nothing else, for malformed bytes."""
    try:
        return msgpack.unpackb(data, use_list=False, raw=False, strict_map_key=True)
    except Exception as error:  # msgpack's own errors share no base class
        raise BadFrame(f"not msgpack: {describe(error)}") from error
