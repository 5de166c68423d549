"""What tests of steps look at: the journals, and the notes of handlers in other processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ironforge.handlers.forge import ExecutorName
from ironforge.job.record import parse_id, shard_of
from ironforge.redis.shards import shards_of
from ironforge.redis.step_keys import journal_of
from ironforge.steps.journal import HEAD, Entry, decode
from tests.actors.node.kit import World


def journal(world: World, job_id: str) -> dict[str, Entry]:
    """What is recorded of a job, by the names of entries."""
    parsed = parse_id(job_id)
    keys = shards_of(world.settings)[shard_of(parsed, world.settings.shards)]
    found = world.cluster.raw.hgetall(journal_of(keys, parsed))
    return {field.decode(): decode(entry) for field, entry in found.items() if field != HEAD}


def register_as(world: World, sort: ExecutorName, kind: str, function: Callable[..., Any], **options: Any) -> None:
    """A blocking handler, in a thread or a process."""
    world.forge.job(kind, executor=sort, **options)(function)
