"""Single jobs where the index says that they are, and cancelling them there.

What is decided here a script does only if the job is still where it was seen: jobs are decoded in Python alone, and
what moved in between is looked up again.
"""

from __future__ import annotations

import contextlib
from typing import Final

from ironforge.errors import InvalidState, JobNotFound, StoreUnavailable
from ironforge.formats.timestamps import now_ms
from ironforge.job.expiry import EXPIRED
from ironforge.job.limits import PREEMPTED
from ironforge.job.record import JobState, decode, encode, format_id
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import Keys
from ironforge.redis.location import Location, told_to_stop_for
from ironforge.redis.scripts import CANCEL
from ironforge.settings import Settings
from ironforge.store.contract import no_such_job
from ironforge.store.retention import RetentionBuckets, state_at, terminal_record

# Others would have to move a job between every read and write for this many times in a row.
CHASES: Final = 20


class LocatedJobs:
    """Of one shard, over the caller's connection."""

    def __init__(self, settings: Settings, keys: Keys, connection: Connection) -> None:
        self._settings = settings
        self._keys = keys
        self._retention = RetentionBuckets(keys, settings)
        self._connection = connection

    async def find(self, job_id: bytes) -> Location:
        """Raises JobNotFound, and InvalidState for a job that has ended."""
        raw, done, kept = await self._connection.pipeline(
            [
                ["HGET", self._keys.index, job_id],
                ["HGET", self._keys.bucket_of(job_id, "done"), job_id],
                ["HGET", self._keys.bucket_of(job_id, "kept"), job_id],
            ]
        )
        if raw:
            return Location(raw)
        job = terminal_record(done or kept, self._settings)
        if job is None:
            raise no_such_job(job_id)
        raise not_now("changed", job_id, JobState(job.ended), "it has ended")

    async def record(self, location: Location, job_id: bytes) -> bytes | None:
        """None: it is no longer there."""
        record: bytes | None
        if not location.entry:
            record = await self._connection.call("HGET", self._keys.parked, job_id)
            return record
        stream = self._keys.stream(location.stream)
        entries = await self._connection.call("XRANGE", stream, location.entry, location.entry)
        record = entries[0][1][1] if entries else None
        return record

    async def cancel(self, job_id: bytes, reason: str = "", *, unless_moved: Command = ()) -> JobState:
        """CANCELLED: it will never run. RUNNING: its node has been told. Raises JobNotFound, InvalidState.

        `unless_moved`: the schedule whose next run takes its place, where that is, and until when that run may start;
        InvalidState where it may not.
        """
        for _ in range(CHASES):
            location = await self.find(job_id)
            if location.place == "d":
                raise not_now("cancelled", job_id, JobState.DEAD, "it is in the dead letter already")
            record = await self.record(location, job_id)
            if location.place == "w" and record is not None and decode(record).is_workflow:
                raise not_now(
                    "cancelled", job_id, JobState.WAITING, f"it is workflow {format_id(job_id)}: cancel it as one"
                )
            state = await self.cancel_at(location, job_id, record, reason, unless_moved=unless_moved)
            if state is not None:
                return state
        raise elusive(job_id)

    async def cancel_unless_started(self, job_id: bytes, reason: str) -> bool:
        """Whether it will never run. One that has been delivered once goes on. Raises JobNotFound, InvalidState."""
        for _ in range(CHASES):
            location = await self.find(job_id)
            record = None if location.place == "d" else await self.record(location, job_id)
            if location.place == "d" or (record is not None and decode(record).fence):
                return False
            state = await self.cancel_at(location, job_id, record, reason, told="")
            if state is not None:
                return state is JobState.CANCELLED
        raise elusive(job_id)

    async def make_way(self, job_id: bytes, reason: str) -> None:
        """Cancel what a full limit does not let wait, or preempts. One that is not there any more has made way."""
        with contextlib.suppress(JobNotFound, InvalidState):
            location = await self.find(job_id)
            if location.place != "d" if reason == PREEMPTED else location.place == "l":
                await self.cancel_at(location, job_id, await self.record(location, job_id), reason)

    async def cancel_at(
        self,
        location: Location,
        job_id: bytes,
        record: bytes | None,
        reason: str = "",
        *,
        told: str | None = None,
        unless_moved: Command = (),
    ) -> JobState | None:
        """Where it was seen, with this record. None: it has moved. RUNNING: its node has been told, but not of one that
        has expired, nor where `told`, its place from then on, is empty. `unless_moved`: as in `cancel`."""
        if record is None:
            return None
        keys, job = self._keys, decode(record)
        ended = job.finish(JobState.CANCELLED, now_ms(), reason=reason)
        place = self._retention.place(job_id, self._retention.retention_ms(ended))
        names = CANCEL.keys(keys, bucket=place.bucket, stream=keys.stream(location.stream))
        seen: Command = (keys.signals, job_id, location.raw, location.entry, record)
        told = told_to_stop_for(reason) if told is None else told
        ending: Command = (encode(ended), place.seconds, place.expiry_ms, job.mark, int(reason == EXPIRED), told)
        verdict: bytes = await self._connection.run(CANCEL, names, [*seen, *ending, *unless_moved])
        if verdict == b"kept":
            raise not_now("cancelled", job_id, state_at(location.raw), "no other run takes its place")
        return {b"cancelled": JobState.CANCELLED, b"running": JobState.RUNNING}.get(verdict)


def not_now(what: str, job_id: bytes, state: JobState, why: str) -> InvalidState:
    message = f"job {format_id(job_id)} is {state.value} and cannot be {what}: {why}"
    return InvalidState(message, state=state.value)


def elusive(job_id: bytes) -> StoreUnavailable:
    return StoreUnavailable(f"job {format_id(job_id)} moved {CHASES} times while it was looked up; try again")
