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
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, NamedTuple

import msgspec
from redis.exceptions import ResponseError

from ironforge.config import Settings
from ironforge.job import JobState
from ironforge.store.contract import JobView, Page
from ironforge.store.keys import GROUP, Keys, queue_names
from ironforge.store.outage import is_wrong_type
from ironforge.store.records import milliseconds, queued_or_running, readable, score_ms, terminal_record

LOOKED_AT: Final = 2_000
CHUNK: Final = 250
CHECK_BYTES: Final = 4

Ask = Callable[..., Awaitable[list[Any]]]
# Where to go on inside a source: an entry id, a score with an offset, or a scan cursor with an offset.
Position = tuple[str, int]
START: Final[Position] = ("", 0)
# By the first number of a rank: the type of those sources that are one among many.
_TYPES: Final = {0: b"stream", 3: b"hash", 4: b"zset"}
MAX_OFFSET: Final = 2**31
# By the first number of a rank: what the server takes as a place to go on from.
_STREAM: Final = re.compile(r"\([0-9]{1,19}-[0-9]{1,19}")
_SCORE: Final = re.compile(r"[+-]?(inf|[0-9]{1,25}(\.[0-9]{1,25})?(e[+-]?[0-9]{1,3})?)")
_SCAN: Final = re.compile(r"[0-9]{1,19}")
_PLACES: Final = {0: _STREAM, 1: _SCORE, 2: _SCORE, 3: _SCAN, 4: _SCORE}
_decode_cursor: Final = msgspec.json.Decoder(tuple[tuple[int, int, str], Position]).decode
# What a source yields for each record it looked at: the job if it is one to show, and where to go on after it.
Step = tuple[JobView | None, Position]


class Source(NamedTuple):
    """`rank` orders the sources, and finds the place in a later call though some have come and gone."""

    rank: tuple[int, int, str]
    key: str
    steps: Callable[[str, Position], AsyncIterator[Step]]


class Listing:
    """Pages over streams, the schedule, the dead letter and ended jobs (both newest first), and what waits by turns."""

    def __init__(self, settings: Settings, keys: Keys, ask: Ask) -> None:
        self._settings = settings
        self._keys = keys
        self._ask = ask

    async def page(
        self, state: JobState | None, kind: str | None, queue: str | None, limit: int, cursor: str | None
    ) -> Page:
        """Raises ValueError for a cursor that did not come from here."""
        rank, position = _read_cursor(cursor) if cursor else ((-1, 0, ""), START)
        found: list[JobView] = []
        looked_at = 0
        for source in await self._sources(state, queue):
            if source.rank < rank:
                continue
            start = position if source.rank == rank else START
            try:
                async for view, after in source.steps(source.key, start):
                    looked_at += 1
                    if view is not None and _matches(view, state, kind, queue):
                        found.append(view)
                    if len(found) >= limit or looked_at >= LOOKED_AT:
                        return Page(found, _write_cursor(source.rank, after))
            except ResponseError as error:
                # The jobs of one queue or one minute that somebody has replaced are gone: the others can be shown.
                (held,) = await self._ask(["TYPE", source.key])
                if queue is not None or not is_wrong_type(error) or held == _TYPES.get(source.rank[0], held):
                    raise
        return Page(found, None)

    async def _sources(self, state: JobState | None, queue: str | None) -> list[Source]:
        keys = self._keys
        sources: list[Source] = []
        if state in (None, JobState.QUEUED, JobState.RUNNING):
            (names,) = await self._ask(["SMEMBERS", keys.queues])
            streams = keys.streams([name for name in queue_names(names) if queue in (None, name)])
            sources += [Source((0, 0, key), key, self._stream) for key in streams]
        if state in (None, JobState.QUEUED):
            (names,) = await self._ask(["SMEMBERS", keys.queues])
            lines = keys.lines([name for name in queue_names(names) if queue in (None, name)])
            sources += [Source((4, 0, key), key, self._waiting) for key in lines[::2]]
        if state in (None, JobState.SCHEDULED):
            sources.append(Source((1, 0, ""), keys.scheduled, self._scheduled))
        if state in (None, JobState.DEAD):
            sources.append(Source((2, 0, ""), keys.dead, self._dead))
        if state in (None, JobState.COMPLETED, JobState.CANCELLED):
            (buckets,) = await self._ask(["ZRANGE", keys.buckets, 0, -1])
            for name in buckets:
                key = name.decode(errors="replace")
                shelf, _, minute = key.removeprefix(keys.prefix).partition(":")
                if not minute.isdigit():
                    continue  # no bucket of ours
                sources.append(Source((3, -int(minute), shelf), key, self._bucket))
        return sorted(sources, key=lambda source: source.rank)

    async def _stream(self, key: str, position: Position) -> AsyncIterator[Step]:
        start = position[0] or "-"
        while True:
            (entries,) = await self._ask(["XRANGE", key, start, "+", "COUNT", CHUNK])
            if not entries:
                return
            jobs = [(entry, readable(fields[1])) for entry, fields in entries]
            pending, time, places = await self._ask(
                ["XPENDING", key, GROUP, jobs[0][0], jobs[-1][0], CHUNK],
                ["TIME"],
                ["HMGET", self._keys.index, *[job.id if job else b"" for _, job in jobs]],
            )
            rows = {row[0]: row for row in pending} if isinstance(pending, list) else {}
            for (entry, job), place in zip(jobs, places, strict=True):
                start = "(" + entry.decode()
                view = queued_or_running(job, rows.get(entry), place or b"", milliseconds(time)) if job else None
                yield view, (start, 0)

    async def _scheduled(self, key: str, position: Position) -> AsyncIterator[Step]:
        async for job_step, score in self._parked(key, position, newest_first=False):
            view, after = job_step
            yield (view._replace(state=JobState.SCHEDULED, due_ms=score) if view else None), after

    async def _waiting(self, key: str, position: Position) -> AsyncIterator[Step]:
        async for job_step, _ in self._parked(key, position, newest_first=False):
            view, after = job_step
            yield (view._replace(state=JobState.QUEUED) if view else None), after

    async def _dead(self, key: str, position: Position) -> AsyncIterator[Step]:
        async for job_step, _ in self._parked(key, position, newest_first=True):
            yield job_step

    async def _parked(self, key: str, position: Position, *, newest_first: bool) -> AsyncIterator[tuple[Step, int]]:
        """Members by score; the offset counts those of the same score, for a batch may share one."""
        low, high = ("+inf", "-inf") if newest_first else ("-inf", "+inf")
        score, offset = position[0] or low, position[1]
        while True:
            order: list[str | int] = ["BYSCORE", *(["REV"] if newest_first else [])]
            window = ["LIMIT", offset, CHUNK, "WITHSCORES"]
            (rows,) = await self._ask(["ZRANGE", key, score, high, *order, *window])
            ids, scores = rows[::2], [row.decode() for row in rows[1::2]]
            if not ids:
                return
            (records,) = await self._ask(["HMGET", self._keys.parked, *ids])
            for record, at in zip(records, scores, strict=True):
                score, offset = at, offset + 1 if at == score else 1
                job = readable(record)
                yield (JobView(job, JobState.DEAD) if job else None, (score, offset)), score_ms(at.encode())

    async def _bucket(self, key: str, position: Position) -> AsyncIterator[Step]:
        """The offset counts inside one answer of the scan: the server may give more than was asked for."""
        cursor, offset = position[0] or "0", position[1]
        while True:
            ((following, fields),) = await self._ask(["HSCAN", key, cursor, "COUNT", CHUNK])
            records = fields[1::2]
            for at in range(offset, len(records)):
                job = terminal_record(records[at], self._settings)
                yield JobView(job, JobState(job.ended)) if job else None, (cursor, at + 1)
            cursor, offset = following.decode(), 0
            if cursor == "0":
                return


def _matches(view: JobView, state: JobState | None, kind: str | None, queue: str | None) -> bool:
    return state in (None, view.state) and kind in (None, view.job.kind) and queue in (None, view.job.queue)


def _write_cursor(rank: tuple[int, int, str], position: Position) -> str:
    text = json.dumps([rank, position], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_checksum(text) + text).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[tuple[int, int, str], Position]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    checksum, text = raw[:CHECK_BYTES], raw[CHECK_BYTES:]
    if not text or checksum != _checksum(text):
        raise ValueError("this cursor was not given out by this API: take it unchanged from the page before")
    try:
        rank, position = _decode_cursor(text)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        rank, position = (-1, 0, ""), START
    # The checksum only finds mistakes: whoever made this one on purpose gets no further than a mistake would.
    place = _PLACES.get(rank[0])
    if place is None or position[1] not in range(MAX_OFFSET) or not place.fullmatch(position[0]):
        raise ValueError("this cursor was not given out by this API: take it unchanged from the page before")
    return rank, position


def _checksum(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=CHECK_BYTES).digest()
