"""Single jobs where the index says that they are, and cancelling them there.

What is decided here a script does only if the job is still where it was seen: jobs are decoded in Python alone, and
what moved in between is looked up again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Final

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
_VERDICTS: Final = {b"cancelled": JobState.CANCELLED, b"running": JobState.RUNNING}


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
        return _record_in(location, await self._connection.call(*self._ask_for(job_id, location)))

    def _ask_for(self, job_id: bytes, location: Location) -> Command:
        if not location.entry:
            return ["HGET", self._keys.parked, job_id]
        return ["XRANGE", self._keys.stream(location.stream), location.entry, location.entry]

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

    async def cancel_together(self, job_ids: Sequence[bytes]) -> dict[bytes, JobState]:
        """As `cancel`, in three round trips for all: what became of those that were where they were looked for. The
        others have to be cancelled one by one."""
        places = await self._connection.call("HMGET", self._keys.index, *job_ids)
        located = [(job_id, Location(raw)) for job_id, raw in zip(job_ids, places, strict=True) if raw]
        alive = [(job_id, location) for job_id, location in located if location.place != "d"]
        records = await self._connection.pipeline([self._ask_for(*each) for each in alive]) if alive else []
        commands: list[Command] = []
        asked = []
        for (job_id, location), reply in zip(alive, records, strict=True):
            record = _record_in(location, reply)
            if record is not None and not decode(record).is_workflow:
                asked.append(job_id)
                commands.append(CANCEL.by_hash(*self._cancelling(location, job_id, record)))
        replies = await self._connection.exchange(commands) if commands else []
        return {
            job_id: _VERDICTS[reply]
            for job_id, reply in zip(asked, replies, strict=True)
            if isinstance(reply, bytes) and reply in _VERDICTS
        }

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
        names, arguments = self._cancelling(location, job_id, record, reason, told=told)
        verdict: bytes = await self._connection.run(CANCEL, names, [*arguments, *unless_moved])
        if verdict == b"kept":
            raise not_now("cancelled", job_id, state_at(location.raw), "no other run takes its place")
        return _VERDICTS.get(verdict)

    def _cancelling(
        self, location: Location, job_id: bytes, record: bytes, reason: str = "", *, told: str | None = None
    ) -> tuple[list[str], Command]:
        """Keys and arguments."""
        keys, job = self._keys, decode(record)
        ended = job.finish(JobState.CANCELLED, now_ms(), reason=reason)
        place = self._retention.place(job_id, self._retention.retention_ms(ended))
        names = CANCEL.keys(keys, bucket=place.bucket, stream=keys.stream(location.stream))
        seen: Command = (keys.signals, job_id, location.raw, location.entry, record)
        told = told_to_stop_for(reason) if told is None else told
        ending: Command = (encode(ended), place.seconds, place.expiry_ms, job.mark, int(reason == EXPIRED), told)
        return names, [*seen, *ending]


def _record_in(location: Location, reply: Any) -> bytes | None:
    """What was answered when it was asked for."""
    if not location.entry:
        return bytes(reply) if reply is not None else None
    return bytes(reply[0][1][1]) if reply else None


def not_now(what: str, job_id: bytes, state: JobState, why: str) -> InvalidState:
    message = f"job {format_id(job_id)} is {state.value} and cannot be {what}: {why}"
    return InvalidState(message, state=state.value)


def elusive(job_id: bytes) -> StoreUnavailable:
    return StoreUnavailable(f"job {format_id(job_id)} moved {CHASES} times while it was looked up; try again")
