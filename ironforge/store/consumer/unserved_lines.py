"""Declined jobs that nobody wants: the watch over lines that no live node serves, for a leaseholder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ironforge.errors import IncompatibleRecord
from ironforge.formats.timestamps import now_ms
from ironforge.job.record import Job, JobState, decode, encode
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import Keys
from ironforge.redis.outages import retry_through_outage
from ironforge.redis.replies import rows
from ironforge.redis.scripts import BURY_DECLINED, WATCH_DECLINED, Script
from ironforge.settings import Settings
from ironforge.store.consumer.declined_jobs import OwnLines
from ironforge.store.node_contract import Lease
from ironforge.store.versions import SUSPECT, split_line

# What counts at most between two looks: nodes look every few seconds, and nothing tells a longer gap from a clock that
# jumped, or from a time without nodes.
GAP_MS: Final = 60_000
# Given up in one script call.
LINES: Final = 20
JOBS: Final = 100


class UnservedLines:
    """Of one shard. `lines`: those that the node of this lease serves."""

    def __init__(self, settings: Settings, keys: Keys, lease: Lease, connection: Connection, lines: OwnLines) -> None:
        self._limit_seconds = settings.unserved_seconds
        self._keys = keys
        self._lease = lease
        self._connection = connection
        self._lines = lines

    async def bury(self) -> list[Job]:
        """Jobs whose line no live node has served for too long go to the dead letter; a bounded number at once."""
        names = self._keys
        if not await retry_through_outage(lambda: self._connection.call("EXISTS", names.unserved)):
            return []
        served = await retry_through_outage(lambda: self._lines.waiting(self._connection, names))
        limit_ms = round(self._limit_seconds * 1000)
        arguments: Command = [limit_ms, GAP_MS, LINES, JOBS, *served]
        keys = WATCH_DECLINED.keys(names, fence=names.fence(self._lease.node))
        buried: list[Job] = []
        for name, score, records in rows(await self._run(WATCH_DECLINED, keys, arguments), 3):
            buried += await self._bury(name.decode(errors="replace"), score, records)
        return buried

    async def _bury(self, name: str, score: bytes, records: Sequence[bytes | None]) -> list[Job]:
        queue, priority, line = name.split(":", 2)
        names = self._keys
        keys = BURY_DECLINED.keys(
            names, fence=names.fence(self._lease.node), declined=names.declined(f"{queue}:{priority}")
        )
        jobs = {job.id: job for record in records if (job := self._dead(record, queue, line.removesuffix(SUSPECT)))}
        arguments: list[str | bytes | int] = [name, score]
        for job in jobs.values():
            arguments += (job.id, encode(job))
        return [jobs[job_id] for job_id in await self._run(BURY_DECLINED, keys, arguments)]

    def _dead(self, record: bytes | None, queue: str, line: str) -> Job | None:
        """None for bytes that are no job: a node that knows the kind puts them aside."""
        try:
            job = decode(record or b"")
        except IncompatibleRecord:
            return None
        kind, version = split_line(line)
        lacked = f"knew the kind {kind!r}: start one that does, then retry this job"
        if version:
            lacked = (
                f"had version {version!r} of the application, which began this job of kind {kind!r}: start one, or "
                f"have any version take those that wait (ironforge kinds release {kind}), then retry this job"
            )
        reason = f"unserved: for {self._limit_seconds:g} s no node that serves queue {queue!r} {lacked}"
        return job.finish(JobState.DEAD, now_ms(), reason=reason)

    async def _run(self, script: Script, keys: list[str], arguments: Command) -> Any:
        return await retry_through_outage(lambda: self._connection.run(script, keys, [self._lease.epoch, *arguments]))
