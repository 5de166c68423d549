"""Submitting a job of a workflow to another shard, where its keys lead."""

from __future__ import annotations

from typing import Final

import msgspec

from ironforge.errors import InvalidJob
from ironforge.job.record import Job, format_id
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
# As a script says that a job stands for another one, and is not stored.
_STANDS_FOR: Final = 2
_INSTEAD: Final = 4


async def submit_apart(settings: Settings, links: ShardLinks, job: Job, expires_in_ms: int) -> str:
    """Under its id, so it may be repeated. Why it is not there, if nothing can bring it there. Raises what keeps it
    from being submitted for now."""
    link = links.shards[links.number_of(job.id)]
    default_ms = round(settings.retention_seconds * 1000)
    retain_ms = max(default_ms if job.retain_ms is None else job.retain_ms, LOOKED_UP_MS)
    job = msgspec.structs.replace(job, retain_ms=retain_ms)
    item = Submission(job, expires_in_ms=expires_in_ms, again=True)
    without_limit = msgspec.structs.replace(settings, max_queue_length=0)
    most = Most(_NO_LIMIT, settings.max_limit_keys)
    call = SubmitCall(link.keys, without_limit, [Batch([item], most, {})], repeated=True)
    reply = await store_once(link, Call(call.script, call.keys, call.arguments, 1, call.size))
    refused = refusal(reply)
    if isinstance(refused, InvalidJob):
        return f"it could not be submitted: {refused}"
    if refused is not None:
        raise refused
    for _, job_id, _, before in rows(reply, 4):
        if before & _STANDS_FOR and not before & _INSTEAD:
            return f"job {format_id(job_id)} has its unique key"
    return ""
