"""What the server has of a schedule, and back."""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple

import msgspec

from ironforge.job.record import created_ms_of
from ironforge.redis.keys import ID_BYTES
from ironforge.schedules.definition import MAX_JITTER_SECONDS
from ironforge.schedules.errors import ScheduleConflict
from ironforge.schedules.ticks import LAST_MS
from ironforge.store.schedules.contract import PastTick, ScheduleView, StoredSchedule, unreadable
from ironforge.store.schedules.ticking import Moment, next_tick

_ETAG_CHARACTERS: Final = 16
# Behind the id of a run that is no job.
_WORKFLOW: Final = b"w"


class _Owned(msgspec.Struct, frozen=True):
    """What is read of a schedule in any version."""

    source: str = ""


encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(StoredSchedule).decode
_decode_owned: Final = msgspec.json.Decoder(_Owned).decode
_POSITION: Final = re.compile(rb"([^:]*):(\d{1,15})?:(\d{1,15})?:(.*)", re.DOTALL)
# No tick fires later, with the longest jitter.
_LATEST_MS: Final = LAST_MS + round(MAX_JITTER_SECONDS * 1000)
_PAST: Final = re.compile(rb"\+(\d+)(?:-(\d+))?:(\d+):(\d+):([^:]*):(.*)|-(\d+):(\d+):(\d+):(.*)", re.DOTALL)


def etag_of(said: bytes) -> str:
    return hashlib.sha256(said).hexdigest()[:_ETAG_CHARACTERS]


class Position(NamedTuple):
    """Where a schedule is: its next tick (None: there is none), when that fires, and the job that it started last
    (empty: none), or the workflow where `is_workflow`. `tag`: of the definition that this follows from, its etag."""

    tag: str = ""
    at_ms: int | None = None
    fires_ms: int = 0
    last_job: bytes = b""
    is_workflow: bool = False

    @classmethod
    def read(cls, raw: bytes) -> Position | None:
        """None: there is none, or one that cannot be read."""
        found = _POSITION.fullmatch(raw)
        if found is None:
            return None
        tag, (last_job, is_workflow) = found[1], _run_of(found[4])
        at_ms, fires_ms = int(found[2]) if found[2] else None, int(found[3] or 0)
        if max(at_ms or 0, fires_ms) > _LATEST_MS:
            return None
        return cls(tag.decode(errors="replace"), at_ms, fires_ms, last_job, is_workflow)

    @property
    def goes(self) -> bytes:
        """As scripts take it, which put the id of the last job behind it."""
        return b"%s:%s:%s:" % (self.tag.encode(), *((b"", b"") if self.at_ms is None else self._times))

    def to(self, moment: Moment | None) -> Position:
        """At this tick."""
        at_ms, fires_ms = (None, 0) if moment is None else moment
        return self._replace(at_ms=at_ms, fires_ms=fires_ms)

    @property
    def since_ms(self) -> int:
        """The tick that it has started last, which its job has the time of; 0: that is not known."""
        started_ms = created_ms_of(self.last_job) if self.last_job else 0
        return started_ms if started_ms < (self.at_ms or 0) else 0

    @property
    def raw(self) -> bytes:
        return self.goes + self.last_job + (_WORKFLOW if self.is_workflow else b"")

    @property
    def _times(self) -> tuple[bytes, bytes]:
        return b"%d" % (self.at_ms or 0), b"%d" % self.fires_ms

    @property
    def look(self) -> int | str:
        """When to look at it next, as scripts take it."""
        return "" if self.at_ms is None else self.fires_ms


class Held(NamedTuple):
    """A schedule as it was seen in the server: what it says, and where it is (empty: that is lost)."""

    name: str
    said: bytes
    at: bytes

    def read(self) -> StoredSchedule:
        """Raises ScheduleConflict where this version cannot."""
        try:
            return _decode(self.said)
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            raise unreadable(f"what is stored of it cannot be read: {error}") from None

    def legible(self) -> StoredSchedule | None:
        """None where there is none, or it cannot be read: then it may be defined anew."""
        try:
            return self.read()
        except ScheduleConflict:
            return None

    def source(self) -> str | None:
        """What owns it, also where a newer version has written it; None: there is none, or that cannot be told."""
        try:
            return _decode_owned(self.said).source
        except (msgspec.MsgspecError, RecursionError, ValueError):
            return None

    def position(self) -> Position | None:
        """None: that is lost, or not of what it says."""
        position = Position.read(self.at)
        return position if position is not None and position.tag == etag_of(self.said) else None

    def planned(self, stored: StoredSchedule, now_ms: int) -> Position:
        """Where it is, or, where that is lost, will be from now on."""
        return self.position() or Position().to(next_tick(self.name, stored.schedule, now_ms))

    def view(self, problem: str = "") -> ScheduleView:
        """`problem`: why it starts no job."""
        position = Position.read(self.at)
        next_ms, last_job = (position.at_ms, position.last_job or None) if position else (None, None)
        is_workflow = position is not None and position.is_workflow
        try:
            stored: StoredSchedule | None = self.read()
        except ScheduleConflict as error:
            stored, problem = None, str(error)
        return ScheduleView(self.name, stored, etag_of(self.said), next_ms, last_job, problem, is_workflow)


def past_tick(row: bytes) -> PastTick | None:
    """None for a row that is none."""
    found = _PAST.fullmatch(row)
    if found is None:
        return None
    if found[1] is not None:
        at_ms, late_ms, jobs = (int(word) for word in found.group(1, 3, 4))
        reason, (run, is_workflow) = found[5].decode(errors="replace"), _run_of(found[6])
        return PastTick(at_ms, "started", reason, late_ms, run or None, int(found[2] or at_ms), jobs, is_workflow)
    first, last, ticks = (int(word) for word in found.group(7, 8, 9))
    return PastTick(first, "skipped", found[10].decode(errors="replace"), 0, None, last, ticks)


def _run_of(written: bytes) -> tuple[bytes, bool]:
    """The id of what started, and whether that is a workflow; empty for what is no id."""
    run, mark = written[:ID_BYTES], written[ID_BYTES:]
    return (run, mark == _WORKFLOW) if len(run) == ID_BYTES and mark in (b"", _WORKFLOW) else (b"", False)
