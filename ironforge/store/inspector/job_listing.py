"""Listing jobs page by page over everything that holds some, in a fixed order.

There is no index by kind or state: keeping one would cost every job, for a question that is asked seldom. A page
looks at a bounded number of records instead, and its cursor says where to look on.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from ironforge.job.record import Job, JobState
from ironforge.redis.connection import Command
from ironforge.redis.keys import LINE_ENDINGS, STREAM_ENDINGS, Keys
from ironforge.redis.location import IN_STREAM, Location
from ironforge.redis.replies import rows
from ironforge.redis.scripts import PAGE
from ironforge.settings import Settings
from ironforge.store.contract import JobFilter, JobView, Page, foreign_cursor
from ironforge.store.expiry import as_it_counts
from ironforge.store.inspector.census import Ask, Run
from ironforge.store.retention import queued_or_running, readable, score_ms, terminal_record
from ironforge.store.waiting import outside_streams, parked_for

LOOKED_AT: Final = 2_000
# Read at one moment, while others wait.
CHUNK: Final = 250
CHUNK_BYTES: Final = 8 * 1024 * 1024
CHECK_BYTES: Final = 4

# Where to go on inside a place: an entry id, a score with an offset, or a scan cursor with an offset.
Position = tuple[str, int]
START: Final[Position] = ("", 0)
# The kinds of places, in the order of a list: the first number of a rank.
STREAM, LINE, SCHEDULED, DEAD, BUCKET = range(5)
MAX_OFFSET: Final = 2**31
# How the names of lines begin whose jobs wait for a time, an event or their children.
WAITING: Final = b"waiting:"
# By the kind of place: what the server takes to go on from.
_ENTRY: Final = re.compile(r"\([0-9]{1,19}-[0-9]{1,19}")
_SCORE: Final = re.compile(r"[+-]?(inf|[0-9]{1,25}(\.[0-9]{1,25})?(e[+-]?[0-9]{1,3})?)")
_SCAN: Final = re.compile(r"[0-9]{1,19}")
_POSITIONS: Final = {STREAM: _ENTRY, LINE: _SCORE, SCHEDULED: _SCORE, DEAD: _SCORE, BUCKET: _SCAN}
# Where jobs of a state are that have not ended.
_PLACES: Final = {
    None: "streams lines waiting scheduled dead",
    JobState.QUEUED: "streams lines",
    JobState.RUNNING: "streams",
    JobState.WAITING: "waiting",
    JobState.SCHEDULED: "scheduled",
    JobState.DEAD: "dead",
}
_decode_cursor: Final = msgspec.json.Decoder(tuple[tuple[int, int, str], Position]).decode
# A place with what orders it: its kind, a number, its name. It is found again though others have come and gone.
Rank = tuple[int, int, str]
# For each record that was looked at: the job if it is one to show, and from where to go on after it.
Step = tuple[JobView | None, Rank, Position]


class Listing:
    """Pages over streams, what waits by turns, jobs in state waiting, the schedule, the dead letter and ended jobs (the
    last two newest first).

    Jobs that have not ended are read from all of their places at one moment, up to so many: one that moves meanwhile is
    neither missed nor seen twice. Where there are more of them, that holds for as many as are read together.
    """

    def __init__(self, settings: Settings, keys: Keys, ask: Ask, run: Run) -> None:
        self._settings = settings
        self._keys = keys
        self._ask = ask
        self._run = run

    async def page(self, wanted: JobFilter, limit: int, cursor: str | None) -> Page:
        """Raises ValueError for a cursor that did not come from here."""
        rank, position = _read_cursor(cursor) if cursor else ((-1, 0, ""), START)
        found: list[JobView] = []
        looked_at = 0
        async for view, at, after in self._steps(wanted.state, wanted.queue, rank, position):
            looked_at += 1
            if view is not None and wanted.fits(view):
                found.append(view)
            if len(found) >= limit or looked_at >= LOOKED_AT:
                return Page(found, _write_cursor(at, after))
        return Page(found, None)

    async def _steps(
        self, state: JobState | None, queue: str | None, rank: Rank, position: Position
    ) -> AsyncIterator[Step]:
        if state in _PLACES and rank[0] < BUCKET:
            async for step in self._alive(_PLACES[state], queue or "", rank, position):
                yield step
        if state in (None, JobState.COMPLETED, JobState.CANCELLED):
            for bucket in await self._buckets():
                if bucket >= rank:
                    async for step in self._ended(bucket, position if bucket == rank else START):
                        yield step

    async def _alive(self, places: str, queue: str, rank: Rank, position: Position) -> AsyncIterator[Step]:
        keys = self._keys
        names = PAGE.keys(keys)
        endings: Command = (len(STREAM_ENDINGS), *STREAM_ENDINGS, *LINE_ENDINGS)
        nothing_behind = False
        while not nothing_behind:
            go_on: Command = (rank[0], rank[2], *position)
            now_ms, nothing_behind, flat = await self._run(
                PAGE, names, (CHUNK, CHUNK_BYTES, queue, places, *go_on, *endings)
            )
            jobs = [readable(record) for record in flat[4::6]]
            locations = await self._locations(flat[0::6], jobs)
            for number, (kind, name, at, offset, _, extra) in enumerate(rows(flat, 6)):
                job, rank, position = jobs[number], (kind, 0, name.decode(errors="replace")), (at.decode(), offset)
                where = name if name.startswith(WAITING) else locations.get(number) or b"q:%b:" % name
                view = _view(kind, job, extra, where, now_ms) if job else None
                yield (as_it_counts(view, now_ms) if view else None), rank, position

    async def _locations(self, kinds: list[int], jobs: list[Job | None]) -> dict[int, bytes]:
        """What the index says of jobs in streams and lines: a caller may have asked to cancel them, or they wait for
        more than their turn. It is read a moment later: of those that have left meanwhile it says nothing here."""
        asked = {number: job.id for number, job in enumerate(jobs) if job and kinds[number] in {STREAM, LINE}}
        (found,) = await self._ask(["HMGET", self._keys.index, *asked.values()]) if asked else ([],)
        read = zip(asked, found, strict=True)
        places = {STREAM: IN_STREAM, LINE: ("l", "k")}
        return {number: raw for number, raw in read if raw and Location(raw).place in places[kinds[number]]}

    async def _buckets(self) -> list[Rank]:
        (names,) = await self._ask(["ZRANGE", self._keys.buckets, 0, -1])
        found = (name.decode(errors="replace").removeprefix(self._keys.prefix).partition(":") for name in names)
        return sorted((BUCKET, -int(minute), shelf) for shelf, _, minute in found if minute.isdigit())

    async def _ended(self, rank: Rank, position: Position) -> AsyncIterator[Step]:
        """The offset counts inside one answer of the scan: the server may give more than was asked for."""
        cursor, offset = position[0] or "0", position[1]
        key = f"{self._keys.prefix}{rank[2]}:{-rank[1]}"
        while True:
            ((following, fields),) = await self._ask(["HSCAN", key, cursor, "COUNT", CHUNK])
            records = fields[1::2]
            for at in range(offset, len(records)):
                job = terminal_record(records[at], self._settings)
                yield (JobView(job, JobState(job.ended)) if job else None), rank, (cursor, at + 1)
            cursor, offset = following.decode(), 0
            if cursor == "0":
                return


def _view(kind: int, job: Job, extra: Any, location: bytes, now_ms: int) -> JobView:
    """`extra`: the row of the pending list, or the score."""
    if kind == STREAM:
        return queued_or_running(job, extra, location, now_ms)
    if kind == SCHEDULED:
        return JobView(job, JobState.SCHEDULED, due_ms=score_ms(extra))
    if kind == DEAD:
        return JobView(job, JobState.DEAD)
    if location.startswith(WAITING):
        return JobView(job, JobState.WAITING, waiting_for=parked_for(job.wait))
    return JobView(job, JobState.QUEUED, waiting_for=outside_streams(job, location))


def _write_cursor(rank: Rank, position: Position) -> str:
    text = json.dumps([rank, position], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_checksum(text) + text).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[Rank, Position]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    checksum, text = raw[:CHECK_BYTES], raw[CHECK_BYTES:]
    if not text or checksum != _checksum(text):
        raise foreign_cursor()
    try:
        rank, position = _decode_cursor(text)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        rank, position = (-1, 0, ""), START
    # The checksum only finds mistakes: whoever made this one on purpose gets no further than a mistake would.
    form = _POSITIONS.get(rank[0])
    if form is None or position[1] not in range(MAX_OFFSET) or not form.fullmatch(position[0]):
        raise foreign_cursor()
    return rank, position


def _checksum(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=CHECK_BYTES).digest()
