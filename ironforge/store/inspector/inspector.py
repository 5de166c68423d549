"""Looking: one job, lists of jobs, counters, nodes, and the state of the server itself.

Reads take turns over a few connections, so that a slow listing does not hold up the status of one job. A read is
repeated once on a new connection, because nothing is easier to repeat.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final

from redis.exceptions import AskError
from redis.exceptions import ConnectionError as Disconnected

from ironforge.job.record import Job, JobState
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import Keys
from ironforge.redis.location import IN_STREAM, Location
from ironforge.redis.outages import ABSENT, translating_errors
from ironforge.redis.scripts import LOOK, Script
from ironforge.settings import Settings
from ironforge.store.contract import ANY_JOB, Health, JobFilter, JobView, Page, no_such_job
from ironforge.store.counts import Stats, Totals
from ironforge.store.expiry import as_it_counts
from ironforge.store.inspector.census import census, totals_of
from ironforge.store.inspector.job_listing import Listing
from ironforge.store.inspector.journal_reader import JournalReader
from ironforge.store.inspector.kinds_reader import KindsReader
from ironforge.store.inspector.shared_reading import Shared
from ironforge.store.kinds import Kinds
from ironforge.store.node_view import NodeView
from ironforge.store.pending_jobs import nodes
from ironforge.store.retention import (
    milliseconds,
    queued_or_running,
    readable,
    score_ms,
    terminal_record,
)
from ironforge.store.server_checks import health_of
from ironforge.store.waiting import Waiting, outside_streams, parked_for

CONNECTIONS: Final = 4
TOLD: Final = 1_000


class RedisInspector:
    """Implements `contract.Inspector`."""

    def __init__(self, settings: Settings, keys: Keys) -> None:
        self._settings = settings
        self._keys = keys
        self._connections = [Connection(settings.redis_url, keys.prefix) for _ in range(CONNECTIONS)]
        self._turns = itertools.cycle(self._connections)
        self._listing = Listing(settings, self._keys, self._ask, self._run)
        self._stats = Shared(self._read_stats)
        # What was paused and resumed from here since the last reading began.
        self._told: dict[str, bool] = {}
        self._nodes = Shared(lambda: nodes(keys, self._run))
        self.steps = JournalReader(keys, self._ask).steps
        self._kinds = Shared(KindsReader(keys, self._run).read)

    async def get(self, job_id: bytes) -> JobView:
        view = await self._look(job_id)
        if view is None:
            raise no_such_job(job_id)
        return view

    async def jobs(self, wanted: JobFilter = ANY_JOB, *, limit: int = 50, cursor: str | None = None) -> Page:
        return await self._listing.page(wanted, limit, cursor)

    async def stats(self, *, max_age_seconds: float = 0.0) -> Stats:
        stats = await self._stats.get(max_age_seconds)
        if not self._told:
            return stats
        paused = {queue for queue in {*stats.paused, *self._told} if self._told.get(queue, True)}
        return stats._replace(paused=sorted(paused))

    def note_pause(self, queue: str, *, paused: bool) -> None:
        """A caller that has just paused a queue sees it, though the counts are not all read again for it."""
        if len(self._told) < TOLD:  # else nobody reads
            self._told[queue] = paused

    async def _read_stats(self) -> Stats:
        self._told.clear()
        return await census(self._keys, self._run, self._ask)

    async def totals(self) -> Totals:
        flat, time = await self._ask(["HGETALL", self._keys.totals], ["TIME"])
        return Totals(totals_of(flat), milliseconds(time))

    async def nodes(self, *, max_age_seconds: float = 0.0) -> list[NodeView]:
        return await self._nodes.get(max_age_seconds)

    async def kinds(self, *, max_age_seconds: float = 0.0) -> Kinds:
        return await self._kinds.get(max_age_seconds)

    async def health(self) -> Health:
        return await health_of(self._settings, self._ask)

    def abandon(self) -> None:
        """Let go of the connections, for their loop is closed."""
        for connection in self._connections:
            connection.abandon()

    async def close(self) -> None:
        for connection in self._connections:
            await connection.close()

    async def _look(self, job_id: bytes) -> JobView | None:
        """None: there is nothing where the index says that it is. Raises JobNotFound."""
        keys = self._keys
        names = LOOK.keys(keys, done=keys.bucket_of(job_id, "done"), kept=keys.bucket_of(job_id, "kept"))
        now_ms, location, *found = await self._run(LOOK, names, [job_id])
        record, *where = found
        if not location:
            job = terminal_record(record, self._settings)
            return JobView(job, JobState(job.ended)) if job else None
        job = readable(record)
        return as_it_counts(_view(job, location, where, now_ms, self._settings), now_ms) if job else None

    async def _run(self, script: Script, keys: Sequence[str], arguments: Command) -> Any:
        connection = next(self._turns)
        with translating_errors():
            try:
                return await connection.run(script, keys, arguments)
            except (Disconnected, AskError):
                return await connection.run(script, keys, arguments)

    async def _ask(self, *commands: Command, tolerate: tuple[str, ...] = ABSENT) -> list[Any]:
        if not commands:
            return []
        connection = next(self._turns)
        with translating_errors():
            try:
                return await connection.pipeline(commands, tolerate=tolerate)
            except (Disconnected, AskError):
                return await connection.pipeline(commands, tolerate=tolerate)


def _view(job: Job, location: bytes, where: Sequence[Any], now_ms: int, settings: Settings) -> JobView:
    """Of a job that has not ended. `where`: as the script says it."""
    if Location(location).place in IN_STREAM:
        return queued_or_running(job, where[0], location, now_ms)
    match location[:1]:
        case b"f" | b"l" | b"k":
            return JobView(job, JobState.QUEUED, waiting_for=_waiting_for(job, location, settings, *where))
        case b"d":
            return JobView(job, JobState.DEAD)
        case b"w":
            return JobView(job, JobState.WAITING, waiting_for=parked_for(job.wait))
    return JobView(job, JobState.SCHEDULED, due_ms=score_ms(where[0]))


def _waiting_for(
    job: Job, location: bytes, settings: Settings, where: bytes | None = None, *limit: bytes | None
) -> Waiting | None:
    """`where` and `limit`: as the script says it of a job outside the streams."""
    until_ms = None if where is None else score_ms(where)
    if location[:1] == b"k":
        limit_ms = round(settings.unserved_seconds * 1000)
        until_ms = (until_ms or 0) + limit_ms if limit_ms else None
    return outside_streams(job, location, until_ms, *(said or b"" for said in limit))
