"""Submitting, cancelling and retrying jobs: what the doors may do to them.

Cancelling and retrying read where a job is, decide here, and let a script do it only if the job is still there: jobs
are decoded in Python alone, and what moved in between is looked up again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, Final, Protocol

from ironforge.errors import InvalidState, QuotaExceeded, StoreUnavailable
from ironforge.formats.timestamps import now_ms
from ironforge.job.record import Job, JobState, decode, encode, format_id
from ironforge.redis.connection import Command, DoorConnection
from ironforge.redis.keys import GROUP, Keys
from ironforge.redis.location import Location
from ironforge.redis.outages import ABSENT
from ironforge.redis.scripts import CANCEL, PAUSE, RETRY, Script
from ironforge.settings import Settings
from ironforge.store.contract import Accepted, Submission, no_such_job
from ironforge.store.producer.group_commit import GroupCommit, queue_full
from ironforge.store.queue_names import forget_unused, too_many_queues
from ironforge.store.retention import RetentionBuckets, state_at, terminal_record

# Others would have to move a job between every read and write for this many times in a row.
CHASES: Final = 20
LOOK_SECONDS: Final = 0.25


class OnPause(Protocol):
    def __call__(self, queue: str, *, paused: bool) -> None: ...


class RedisProducer:
    """Implements `contract.Producer` over two connections: one for group commits, one for everything else."""

    def __init__(self, settings: Settings, keys: Keys, on_pause: OnPause) -> None:
        self._settings = settings
        self._keys = keys
        self._retention = RetentionBuckets(self._keys, settings)
        self._group_commit = GroupCommit(settings, self._keys)
        self._connection = DoorConnection(settings.redis_url, keys.prefix)
        self._looked_at = -math.inf
        self._on_pause = on_pause

    async def submit(self, batch: Sequence[Submission], *, most_queues: int | None = None) -> list[Accepted]:
        most = self._most(most_queues)
        try:
            return await self._group_commit.submit(batch, most_queues=most)
        except QuotaExceeded:
            if not await self._made_room():
                raise
            return await self._group_commit.submit(batch, most_queues=most)

    def abandon(self) -> None:
        """Let go of the connections, for their loop is closed."""
        self._group_commit.connection.abandon()
        self._connection.abandon()

    async def close(self) -> None:
        """Ends the connections. Callers that still wait for an answer get StoreUnavailable."""
        await self._group_commit.close()
        await self._connection.close()

    async def cancel(self, job_id: bytes) -> JobState:
        for _ in range(CHASES):
            location = await self._locate(job_id)
            if location.place == "d":
                raise _not_now("cancelled", job_id, JobState.DEAD, "it is in the dead letter already")
            record = await self._record_at(location, job_id)
            if record is None:
                continue
            verdict = await self._cancel_at(location, job_id, record)
            if verdict != b"moved":
                return JobState.CANCELLED if verdict == b"cancelled" else JobState.RUNNING
        raise _elusive(job_id)

    async def _cancel_at(self, location: Location, job_id: bytes, record: bytes) -> bytes:
        keys = self._keys
        ended = decode(record).finish(JobState.CANCELLED, now_ms())
        place = self._retention.place(job_id, self._retention.retention_ms(ended))
        name = location.stream
        kept = encode(ended) if place.seconds else b""
        turns = (keys.turns(name),) if location.place == "f" else ()
        verdict: bytes = await self._connection.run(
            CANCEL,
            CANCEL.keys(keys, *turns, bucket=place.bucket, place=(keys.fair if turns else keys.stream)(name)),
            [keys.signals, job_id, location.raw, location.entry, record, kept, place.seconds, place.expiry_ms],
        )
        return verdict

    async def retry(self, job_id: bytes, *, reset_retry_count: bool, most_queues: int | None = None) -> Job:
        keys = self._keys
        for _ in range(CHASES):
            location = await self._locate(job_id)
            if location.place != "d":
                raise _not_now("retried", job_id, await self._state(location), "only a dead job can be retried")
            record = await self._record_at(location, job_id)
            if record is None:
                continue
            job = decode(record).retried(now_ms(), reset_retry_count=reset_retry_count)
            limit = self._settings.max_queue_length
            bounded = (*keys.streams([job.queue]), *keys.lines([job.queue])) if limit else ()
            stream, fair, turns = (key(job.stream) for key in (keys.stream, keys.fair, keys.turns))
            names = RETRY.keys(keys, *bounded, stream=stream, fair=fair, turns=turns)
            arguments: Command = [job_id, record, encode(job), job.mark, job.queue, self._most(most_queues), limit]
            if await self._within_quota(RETRY, names, arguments):
                return job
        raise _elusive(job_id)

    async def set_paused(self, queue: str, *, paused: bool, most_queues: int | None = None) -> None:
        keys = self._keys
        if paused:
            await self._within_quota(PAUSE, PAUSE.keys(keys), [queue, self._most(most_queues)])
        else:
            await self._connection.call("SREM", keys.paused, queue)
        self._on_pause(queue, paused=paused)

    def _most(self, queues: int | None) -> int:
        return self._settings.max_queues if queues is None else queues

    async def _within_quota(self, script: Script, names: Sequence[str], arguments: Command) -> Any:
        reply = await self._connection.run(script, names, arguments)
        if isinstance(reply, list) and reply[0] == b"queues" and await self._made_room():
            reply = await self._connection.run(script, names, arguments)
        if isinstance(reply, list):
            raise (queue_full if reply[0] == b"full" else too_many_queues)(reply)
        return reply

    async def _made_room(self) -> bool:
        """Whether some of the names in use were no longer used. Nodes look regularly; here it is looked for a
        few times a second at most, however often somebody is refused."""
        if time.monotonic() - self._looked_at < LOOK_SECONDS:
            return False
        self._looked_at = time.monotonic()
        return await forget_unused(self._connection, self._keys) > 0

    async def _locate(self, job_id: bytes) -> Location:
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
        raise _not_now("changed", job_id, JobState(job.ended), "it has ended")

    async def _state(self, location: Location) -> JobState:
        """Only the group's pending list tells a running job from a queued one."""
        if location.place == "q":
            key, entry = self._keys.stream(location.stream), location.entry
            (pending,) = await self._connection.pipeline([["XPENDING", key, GROUP, entry, entry, 1]], tolerate=ABSENT)
            if isinstance(pending, list) and pending:
                return JobState.RUNNING
        return state_at(location.raw)

    async def _record_at(self, location: Location, job_id: bytes) -> bytes | None:
        record: bytes | None
        if not location.entry:
            record = await self._connection.call("HGET", self._keys.parked, job_id)
            return record
        stream = self._keys.stream(location.stream)
        entries = await self._connection.call("XRANGE", stream, location.entry, location.entry)
        record = entries[0][1][1] if entries else None
        return record


def _not_now(what: str, job_id: bytes, state: JobState, why: str) -> InvalidState:
    message = f"job {format_id(job_id)} is {state.value} and cannot be {what}: {why}"
    return InvalidState(message, state=state.value)


def _elusive(job_id: bytes) -> StoreUnavailable:
    return StoreUnavailable(f"job {format_id(job_id)} moved {CHASES} times while it was looked up; try again")
