"""The journal of a job: what its runs have recorded, by name, so that a later run need not do it again."""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

import msgspec

from ironforge.errors import IncompatibleRecord
from ironforge.formats.bounds import Count, TimeMs

# Of a result, as JSON.
MAX_RESULT_BYTES: Final = 64 * 1024
MAX_ENTRIES: Final = 1_000
MAX_JOURNAL_BYTES: Final = 4 * 1024 * 1024
# The field of a journal that is no entry: the fence of the run that recorded last, and while the job waits, for what.
HEAD: Final = b""


class EntryKind(enum.IntEnum):
    STEP = 0
    WAIT = 1
    WAITED = 2


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """One recorded step or wait. `result` is JSON; of a wait that is not over, or whose time was over, empty.

    `started_ms` and `ended_ms` are Unix time; while a wait is not over the latter is when it ends by itself (0: never).
    `fence` of the run that recorded it.
    """

    kind: EntryKind
    result: bytes
    started_ms: TimeMs
    ended_ms: TimeMs
    fence: Count

    @property
    def timed_out(self) -> bool:
        """Whether it waited until its time was over."""
        return self.kind is EntryKind.WAITED and not self.result


class RecordedStep(NamedTuple):
    """An entry with its place in the journal; `key` is None without one."""

    name: str
    key: str | None
    entry: Entry


def field_of(name: str, key: str | None = None) -> str:
    """The name of an entry. No name has a line feed."""
    return name if key is None else f"{name}\n{key}"


def split_field(field: str) -> tuple[str, str | None]:
    name, line_feed, key = field.partition("\n")
    return name, key if line_feed else None


encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Entry).decode


def decode(entry: bytes) -> Entry:
    """Raises IncompatibleRecord when the bytes are no entry."""
    try:
        return _decode(entry)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise IncompatibleRecord(f"this is no entry of a journal: {error}") from None


def size_of(field: str, entry: bytes) -> int:
    """What an entry takes of a journal's bytes."""
    return len(field.encode()) + len(entry)


def fence_of(head: bytes | None) -> int | None:
    """Of the run that recorded last; None: there is no journal, or it is damaged."""
    digits = (head or b"").partition(b" ")[0]
    return int(digits) if digits.isdigit() and len(digits) <= 16 else None
