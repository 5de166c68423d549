"""Submitting a job of a workflow to another shard, where its keys lead."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from ironforge.errors import InvalidJob
from ironforge.formats.timestamps import now_ms
from ironforge.job.record import Job, JobState, format_id
from ironforge.redis.replies import rows
from ironforge.settings import Settings
from ironforge.store.contract import Most, Submission
from ironforge.store.producer.refusals import refusal
from ironforge.store.producer.submit_call import Batch, SubmitCall
from ironforge.store.steps.links import Call, ShardLinks, store_once

# How long the record of a job stays at least that is submitted so: longer than a try of that takes.
LOOKED_UP_MS: Final = 600_000
# What a workflow may have was accepted with it: neither a full queue nor many names keep its jobs from starting.
_NO_LIMIT: Final = 2**31
# As a script says that a job stands for another one, and is not stored; or is, under that one's id.
_STANDS_FOR: Final = 2
_INSTEAD: Final = 4


class Stored(NamedTuple):
    """`id`: under which the job is there. `ended`: its record where nothing can bring it there."""

    id: bytes
    ended: Job | None = None


def without_bounds(settings: Settings) -> tuple[Settings, Most]:
    """By which jobs of workflows are submitted."""
    return msgspec.structs.replace(settings, max_queue_length=0), Most(_NO_LIMIT, settings.max_limit_keys)


def cannot_be_submitted(job: Job, error: InvalidJob) -> Job:
    return job.finish(JobState.DEAD, now_ms(), reason=f"it could not be submitted: {error}")


async def store_apart(settings: Settings, links: ShardLinks, item: Submission) -> Stored:
    """Under its id, so it may be repeated. Raises what keeps it from being submitted for now."""
    job = item.job
    link = links.shards[links.number_of(job.id)]
    default_ms = round(settings.retention_seconds * 1000)
    retain_ms = max(default_ms if job.retain_ms is None else job.retain_ms, LOOKED_UP_MS)
    item = msgspec.structs.replace(item, job=msgspec.structs.replace(job, retain_ms=retain_ms), again=True)
    unbounded, most = without_bounds(settings)
    call = SubmitCall(link.keys, unbounded, [Batch([item], most, {})], repeated=True)
    reply = await store_once(link, Call(call.script, call.keys, call.arguments, 1, call.size))
    refused = refusal(reply)
    if isinstance(refused, InvalidJob):
        return Stored(job.id, cannot_be_submitted(job, refused))
    if refused is not None:
        raise refused
    for _, job_id, _, before in rows(reply, 4):
        if before & _INSTEAD:
            return Stored(job_id)
        if before & _STANDS_FOR:
            reason = f"job {format_id(job_id)} has its unique key"
            return Stored(job.id, job.finish(JobState.CANCELLED, now_ms(), reason=reason))
    return Stored(job.id)


async def submit_apart(settings: Settings, links: ShardLinks, job: Job, expires_in_ms: int) -> str:
    """As `store_apart`; why it is not there, if nothing can bring it there."""
    stored = await store_apart(settings, links, Submission(job, expires_in_ms=expires_in_ms))
    return stored.ended.reason if stored.ended else ""
