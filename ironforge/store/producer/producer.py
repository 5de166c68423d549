"""Submitting, cancelling and retrying jobs: what the doors may do to them.

Cancelling and retrying read where a job is, decide here, and let a script do it only if the job is still there: jobs
are decoded in Python alone, and what moved in between is looked up again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Protocol

from ironforge.errors import QuotaExceeded
from ironforge.formats.timestamps import now_ms
from ironforge.job.record import Job, JobState, decode, encode, format_id
from ironforge.redis.connection import Command, DoorConnection
from ironforge.redis.keys import GROUP, Keys
from ironforge.redis.location import Location
from ironforge.redis.outages import ABSENT
from ironforge.redis.scripts import PAUSE, RETRY, ROUTE, Script
from ironforge.settings import Settings
from ironforge.store.contract import Accepted, Most, Submission
from ironforge.store.located_jobs import CHASES, LocatedJobs, elusive, not_now
from ironforge.store.producer.group_commit import GroupCommit
from ironforge.store.producer.refusals import refusal
from ironforge.store.producer.releasing import release
from ironforge.store.producer.routes import Route, answer_key, remembered_seconds
from ironforge.store.queue_names import forget_unused
from ironforge.store.retention import state_at

LOOK_SECONDS: Final = 0.25
_NO_ROUTES: Final[Mapping[str, int]] = MappingProxyType({})


class OnPause(Protocol):
    def __call__(self, queue: str, *, paused: bool) -> None: ...


class RedisProducer:
    """Implements `contract.Producer` over two connections: one for group commits, one for everything else."""

    def __init__(self, settings: Settings, keys: Keys, on_pause: OnPause) -> None:
        self._settings = settings
        self._most = Most(settings.max_queues, settings.max_limit_keys)
        self._keys = keys
        self._group_commit = GroupCommit(settings, self._keys)
        self._connection = DoorConnection(settings.redis_url, keys.prefix)
        self._located = LocatedJobs(settings, keys, self._connection)
        self._looked_at = -math.inf
        self._on_pause = on_pause

    async def submit(
        self, batch: Sequence[Submission], *, most: Most | None = None, generations: Mapping[str, int] = _NO_ROUTES
    ) -> list[Accepted]:
        most = self._most if most is None else most
        try:
            return await self._group_commit.submit(batch, most=most, generations=generations)
        except QuotaExceeded:
            if not await self._made_room():
                raise
            return await self._group_commit.submit(batch, most=most, generations=generations)

    async def route(self, idempotency_key: str, route: Route) -> Route | None:
        names = ROUTE.keys(self._keys, idempotency=answer_key(self._keys, idempotency_key))
        found = await self._connection.run(ROUTE, names, [*route, remembered_seconds(self._settings)])
        return Route(*found) if found else None

    def abandon(self) -> None:
        """Let go of the connections, for their loop is closed."""
        self._group_commit.connection.abandon()
        self._connection.abandon()

    async def close(self) -> None:
        """Ends the connections. Callers that still wait for an answer get StoreUnavailable."""
        await self._group_commit.close()
        await self._connection.close()

    async def cancel(self, job_id: bytes) -> JobState:
        return await self._located.cancel(job_id)

    async def retry(self, job_id: bytes, *, reset_retry_count: bool, most: Most | None = None) -> Job:
        keys = self._keys
        for _ in range(CHASES):
            location = await self._located.find(job_id)
            if location.place != "d":
                raise not_now("retried", job_id, await self._state(location), "only a dead job can be retried")
            record = await self._located.record(location, job_id)
            if record is None:
                continue
            dead = decode(record)
            if why := _belongs_to(dead):
                raise not_now("retried", job_id, JobState.DEAD, why)
            job = dead.retried(now_ms(), reset_retry_count=reset_retry_count)
            limit = self._settings.max_queue_length
            bounded = (*keys.streams([job.queue]), *keys.lines([job.queue])) if limit else ()
            stream, fair, turns = (key(job.stream) for key in (keys.stream, keys.fair, keys.turns))
            names = RETRY.keys(keys, *bounded, stream=stream, fair=fair, turns=turns)
            arguments: Command = [job_id, record, encode(job), job.mark, job.queue, (most or self._most).queues, limit]
            if await self._within_quota(RETRY, names, arguments):
                return job
        raise elusive(job_id)

    async def set_paused(self, queue: str, *, paused: bool, most: Most | None = None) -> None:
        keys = self._keys
        if paused:
            await self._within_quota(PAUSE, PAUSE.keys(keys), [queue, (most or self._most).queues])
        else:
            await self._connection.call("SREM", keys.paused, queue)
        self._on_pause(queue, paused=paused)

    async def release(self, kind: str, version: str, *, most: int, queues: Collection[str] | None = None) -> int:
        return await release(self._connection, self._keys, kind, version, most=most, queues=queues)

    async def _within_quota(self, script: Script, names: Sequence[str], arguments: Command) -> Any:
        reply = await self._connection.run(script, names, arguments)
        if isinstance(reply, list) and reply[0] == b"queues" and await self._made_room():
            reply = await self._connection.run(script, names, arguments)
        if refused := refusal(reply):
            raise refused
        return reply

    async def _made_room(self) -> bool:
        """Whether some of the names in use were no longer used. Nodes look regularly; here it is looked for a
        few times a second at most, however often somebody is refused."""
        if time.monotonic() - self._looked_at < LOOK_SECONDS:
            return False
        self._looked_at = time.monotonic()
        return await forget_unused(self._connection, self._keys) > 0

    async def _state(self, location: Location) -> JobState:
        """Only the group's pending list tells a running job from a queued one."""
        if location.place == "q":
            key, entry = self._keys.stream(location.stream), location.entry
            (pending,) = await self._connection.pipeline([["XPENDING", key, GROUP, entry, entry, 1]], tolerate=ABSENT)
            if isinstance(pending, list) and pending:
                return JobState.RUNNING
        return state_at(location.raw)


def _belongs_to(dead: Job) -> str:
    """Why it is not retried as a job; empty for most."""
    if dead.is_workflow:
        return f"it is workflow {dead.text_id}: retry it as one"
    if dead.parent is None:
        return ""
    parent = format_id(dead.parent.id)
    if dead.parent.is_workflow:
        return f"it is node {dead.parent.node} of workflow {parent}, whose retry runs it again: retry that one"
    return f"it is a child of job {parent}, whose retry submits it again: retry that one"
