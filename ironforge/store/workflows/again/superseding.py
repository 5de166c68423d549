"""Dead jobs of nodes that a retry runs again by other jobs: they leave the dead letter, as those do that come back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from ironforge.errors import StoreError
from ironforge.formats.timestamps import now_ms
from ironforge.job.record import Job, JobState, encode, shard_of
from ironforge.logs.setup import get_logger
from ironforge.redis.causes import said
from ironforge.redis.family_keys import results_of
from ironforge.redis.outages import translating_errors
from ironforge.redis.scripts import SUPERSEDE
from ironforge.settings import Settings
from ironforge.store.retention import RetentionBuckets, readable
from ironforge.store.steps.links import ShardLink
from ironforge.store.workflows.again.ended import EndedWorkflow
from ironforge.store.workflows.nodes import undo_number
from ironforge.workflows.progress import Progress
from ironforge.workflows.states import FAILURES, NodeState

REASON: Final = "its workflow was retried: another job runs the node"
# Records of the dead have neither payload nor result where their workflow keeps them, and both in the dead letter.
ENDS_AT_ONCE: Final = 500
JOBS_AT_ONCE: Final = 50

log = get_logger("ironforge.store")


class Superseding:
    """In all shards of a namespace."""

    def __init__(self, settings: Settings, links: Sequence[ShardLink]) -> None:
        self._settings = settings
        self._links = links

    async def of(self, seen: EndedWorkflow, progress: Progress, come_back: Sequence[int]) -> list[bytes]:
        """Ids of the dead jobs of nodes that failed and run again, as `progress` goes on from what was seen, but for
        those that come back; and of what failed to undo some."""
        states = enumerate(zip(seen.progress.states, progress.states, strict=True))
        again = [number for number, (was, now) in states if was is NodeState.FAILED and not now.has_ended]
        numbers = [number for number in again if number not in {*come_back}]
        undone = seen.progress.compensation.undone.items()
        numbers += [undo_number(number) for number, state in undone if state in FAILURES]
        names = [*seen.members(numbers).values()]
        link, found = self._links[shard_of(seen.job.id, len(self._links))], list[bytes]()
        for start in range(0, len(names), ENDS_AT_ONCE):
            part = names[start : start + ENDS_AT_ONCE]
            ends = await link.connection.call("HMGET", results_of(link.keys, seen.job.id), *part)
            found += [job.id for end in ends if (job := readable(end)) and job.ended == JobState.DEAD]
        return found

    async def see_off(self, ids: Sequence[bytes]) -> None:
        """Once the workflow goes on. What cannot be reached stays in the dead letter until that drops it."""
        by_shard: defaultdict[int, list[bytes]] = defaultdict(list)
        for job_id in ids:
            by_shard[shard_of(job_id, len(self._links))].append(job_id)
        for shard, own in by_shard.items():
            for start in range(0, len(own), JOBS_AT_ONCE):
                try:
                    with translating_errors():
                        await self._see_off(self._links[shard], own[start : start + JOBS_AT_ONCE])
                except StoreError as error:
                    log.warning("dead_jobs_not_superseded", error=said(error))

    async def _see_off(self, link: ShardLink, ids: Sequence[bytes]) -> None:
        keys, connection, _ = link
        records = await connection.call("HMGET", keys.parked, *ids)
        words: list[bytes | str | int] = []
        for record in records:
            job = readable(record)
            if job is not None and job.ended == JobState.DEAD:
                words += [job.id, record, *self._ended(link, job)]
        if words:
            await connection.run(SUPERSEDE, SUPERSEDE.keys(keys), words)

    def _ended(self, link: ShardLink, job: Job) -> tuple[bytes, str, int, int, str]:
        ended = job.finish(JobState.CANCELLED, now_ms(), reason=REASON)
        buckets = RetentionBuckets(link.keys, self._settings)
        place = buckets.place(job.id, buckets.retention_ms(ended))
        return encode(ended), place.bucket, place.seconds, place.expiry_ms, job.mark
