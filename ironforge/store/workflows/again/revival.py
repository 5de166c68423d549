"""Dead jobs of nodes that may start at once when their workflow is retried: they come back under their ids, with their
history, and what their own children have done. Their needs are kept, so they get what they got before.

Others are made anew: those whose needs run again, those that lie in another shard, or with a unique key, and where the
dead letter has dropped the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from ironforge.formats.timestamps import now_ms
from ironforge.job.record import Job, encode, shard_of
from ironforge.redis.connection import Command
from ironforge.redis.family_keys import results_of
from ironforge.steps.waits import member_of
from ironforge.store.retention import readable
from ironforge.store.steps.links import ShardLink
from ironforge.store.workflows.again.ended import EndedWorkflow
from ironforge.workflows.progress import Progress
from ironforge.workflows.states import NodeState

# At once, and of how many bytes; others are made anew.
MOST: Final = 500
MOST_BYTES: Final = 4 * 1024 * 1024


class Back(NamedTuple):
    """`seen`: its record in the dead letter; `job`: as it comes back."""

    number: int
    seen: bytes
    job: Job

    @property
    def words(self) -> Command:
        """As the script takes them."""
        return self.job.id, self.number, self.seen, encode(self.job), self.job.stream, self.job.mark


class Revival:
    """In one shard of so many."""

    def __init__(self, link: ShardLink, shards: int) -> None:
        self._keys, self._connection, _ = link
        self._shards = shards

    async def of(self, seen: EndedWorkflow, progress: Progress) -> list[Back]:
        """As `progress` goes on from what was seen."""
        before = seen.progress.states
        failed = [number for number in progress.ready if before[number] is NodeState.FAILED]
        members = seen.members(failed[:MOST])
        if not members:
            return []
        ends = await self._connection.call("HMGET", results_of(self._keys, seen.job.id), *members.values())
        known = {number: job for number, end in zip(members, ends, strict=True) if (job := readable(end))}
        here = {number: job.id for number, job in known.items() if self._may_come_back(seen, job)}
        records = await self._records([*here.values()])
        back: list[Back] = []
        size = 0
        for (number, _), record in zip(here.items(), records, strict=True):
            job = readable(record)
            size += len(record or b"")
            if job is not None and record is not None and size <= MOST_BYTES:
                back.append(Back(number, record, self._alive(seen, progress, job)))
        return back

    def _may_come_back(self, seen: EndedWorkflow, job: Job) -> bool:
        is_here = shard_of(job.id, self._shards) == shard_of(seen.job.id, self._shards)
        return is_here and job.unique is None

    async def _records(self, ids: Sequence[bytes]) -> list[bytes | None]:
        """Of those that lie dead."""
        if not ids:
            return []
        places, records = await self._connection.pipeline(
            [["HMGET", self._keys.index, *ids], ["HMGET", self._keys.parked, *ids]]
        )
        return [record if place == b"d" else None for place, record in zip(places, records, strict=True)]

    def _alive(self, seen: EndedWorkflow, progress: Progress, job: Job) -> Job:
        generation, parent, numbers = seen.head.generation + 1, job.parent, progress.graph.numbers
        assert parent is not None
        sources = tuple(
            (name, member_of("", numbers[name], seen.newest.get(numbers[name], generation)))
            for name, _ in parent.sources
        )
        alive = job.retried(now_ms(), reset_retry_count=True)
        changed = msgspec.structs.replace(parent, generation=generation, sources=sources)
        return msgspec.structs.replace(alive, parent=changed)
