"""Submitting to, and looking at, several shards: an id's last byte says which one is asked.

All or nothing holds within a shard. Batches that the API and `submit_many` make lie in one, because their ids share
that byte; ids that a caller chose may lie anywhere, and then a batch can be accepted in part before it fails.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from ironforge.errors import InvalidJob
from ironforge.job.record import Job, JobState, shard_of, tail_of
from ironforge.store.contract import (
    ANY_JOB,
    Accepted,
    Health,
    Inspector,
    JobFilter,
    JobView,
    Most,
    Page,
    Producer,
    Stats,
    StreamDepth,
    Submission,
    Totals,
    foreign_cursor,
)
from ironforge.store.kinds import Kinds
from ironforge.store.node_view import NodeView
from ironforge.store.sharding.fan_out import gather_all

# From the best to the worst.
DURABILITY = ("local", "relaxed", "none")


class ShardedProducer:
    """Implements `contract.Producer`."""

    def __init__(self, parts: Sequence[Producer]) -> None:
        self._parts = parts

    async def submit(self, batch: Sequence[Submission], *, most: Most | None = None) -> list[Accepted]:
        """Raises InvalidJob for an id that its key would never find again."""
        shards = [shard_of(item.job.id, len(self._parts)) for item in batch]
        if len(self._parts) > 1:
            _check_together(batch)
        for item, shard in zip(batch, shards, strict=True):
            self._check_key(item, shard)
        if len(set(shards)) <= 1:
            return await self._parts[shards[0] if shards else 0].submit(batch, most=most)
        groups = [[at for at, shard in enumerate(shards) if shard == part] for part in range(len(self._parts))]
        calls = [
            part.submit([batch[at] for at in group], most=most) for part, group in zip(self._parts, groups, strict=True)
        ]
        answers: dict[int, Accepted] = {}
        for group, accepted in zip(groups, await gather_all(calls), strict=True):
            answers |= zip(group, accepted, strict=True)
        return [answers[at] for at in range(len(batch))]

    async def cancel(self, job_id: bytes) -> JobState:
        return await self._of(job_id).cancel(job_id)

    async def retry(self, job_id: bytes, *, reset_retry_count: bool, most: Most | None = None) -> Job:
        return await self._of(job_id).retry(job_id, reset_retry_count=reset_retry_count, most=most)

    async def set_paused(self, queue: str, *, paused: bool, most: Most | None = None) -> None:
        """When a shard is away, those that are not have done it."""
        await gather_all(part.set_paused(queue, paused=paused, most=most) for part in self._parts)

    def _of(self, job_id: bytes) -> Producer:
        return self._parts[shard_of(job_id, len(self._parts))]

    def _check_key(self, item: Submission, shard: int) -> None:
        for use in item.job.limits:
            if tail_of(use.key) % len(self._parts) != shard:
                raise InvalidJob(
                    f"key {use.key!r} of limit {use.name} lies in another shard than the job: where there are several, "
                    "a job has limits of one key, and an id that is made for that",
                    code="keys_apart",
                    field="limits",
                )
        unique = item.job.unique
        if unique is not None and tail_of(unique.key) % len(self._parts) != shard:
            raise InvalidJob(
                "a unique key and an id of one's own do not go together in several shards: leave the id out",
                code="invalid_job_id",
                field="id",
            )
        if item.idempotency_key is not None and tail_of(item.idempotency_key) % len(self._parts) != shard:
            raise InvalidJob(
                "an idempotency key and an id of one's own do not go together where there are several shards: give one "
                "of them, either makes the submission safe to repeat",
                code="invalid_job_id",
                field="id",
            )


def _check_together(batch: Sequence[Submission]) -> None:
    """Keys of different text lie in different shards, or might: that must not depend on chance. A limit that is used
    without a key has the empty one."""
    limited = {use.key for item in batch for use in item.job.limits}
    if len(limited) > 1:
        raise InvalidJob(
            f"the limits of this job or batch have {len(limited)} keys, and in several shards they must have one: "
            "submit the jobs one by one, each with limits of one key",
            code="keys_apart",
            field="limits",
        )
    unique = {item.job.unique.key for item in batch if item.job.unique is not None}
    if unique and len(unique | {item.idempotency_key for item in batch if item.idempotency_key is not None}) > 1:
        raise InvalidJob(
            "in several shards the unique and idempotency keys of one job or batch must have the same text: "
            "submit the jobs one by one, or give the unique key as the Idempotency-Key",
            code="keys_apart",
            field="unique",
        )


class ShardedInspector:
    """Implements `contract.Inspector`. Lists go through one shard after the other."""

    def __init__(self, parts: Sequence[Inspector]) -> None:
        self._parts = parts

    async def get(self, job_id: bytes) -> JobView:
        return await self._parts[shard_of(job_id, len(self._parts))].get(job_id)

    async def jobs(self, wanted: JobFilter = ANY_JOB, *, limit: int = 50, cursor: str | None = None) -> Page:
        shard, inner = self._read_cursor(cursor)
        found: list[JobView] = []
        while True:
            left = limit - len(found)
            page = await self._parts[shard].jobs(wanted, limit=left, cursor=inner)
            found += page.jobs
            if page.cursor is not None:
                return Page(found, f"{shard}.{page.cursor}")
            shard, inner = shard + 1, None
            if shard == len(self._parts):
                return Page(found, None)
            if len(found) >= limit:
                return Page(found, f"{shard}.")

    async def stats(self, *, max_age_seconds: float = 0.0) -> Stats:
        parts = await gather_all(part.stats(max_age_seconds=max_age_seconds) for part in self._parts)
        depths: dict[tuple[str, int], StreamDepth] = {}
        for depth in (depth for part in parts for depth in part.streams):
            place = depth.queue, depth.priority
            depths[place] = depth.together(depths[place]) if place in depths else depth
        totals, now_ms = _sum(parts)
        scheduled, dead = sum(part.scheduled for part in parts), sum(part.dead for part in parts)
        paused = sorted({queue for part in parts for queue in part.paused})
        return Stats(list(depths.values()), scheduled, dead, totals, now_ms, paused)

    async def totals(self) -> Totals:
        return _sum(await gather_all(part.totals() for part in self._parts))

    async def nodes(self, *, max_age_seconds: float = 0.0) -> list[NodeView]:
        """A node is as well as it is in the shard where it is worst."""
        found: dict[str, NodeView] = {}
        parts = await gather_all(part.nodes(max_age_seconds=max_age_seconds) for part in self._parts)
        for node in itertools.chain(*parts):
            other = found.get(node.name)
            found[node.name] = node if other is None else other.together(node)
        return list(found.values())

    async def kinds(self, *, max_age_seconds: float = 0.0) -> Kinds:
        """The first shard has them."""
        return await self._parts[0].kinds(max_age_seconds=max_age_seconds)

    async def health(self) -> Health:
        """Memory of the fullest server: two shards may be on the same one."""
        parts = await gather_all(part.health() for part in self._parts)
        fullest = max(parts, key=lambda part: part.used_memory / part.max_memory if part.max_memory else 0)
        weakest = max((part.durability for part in parts), key=DURABILITY.index)
        problems: dict[str, list[str]] = {}
        for shard, part in enumerate(parts):
            for problem in part.problems:
                problems.setdefault(problem, []).append(str(shard))
        told = [
            problem if len(shards) == len(parts) else f"shard {', '.join(shards)}: {problem}"
            for problem, shards in problems.items()
        ]
        return fullest._replace(durability=weakest, problems=told)

    def _read_cursor(self, cursor: str | None) -> tuple[int, str | None]:
        if cursor is None:
            return 0, None
        shard, dot, inner = cursor.partition(".")
        if not dot or not shard.isascii() or not shard.isdigit() or int(shard[:3]) >= len(self._parts):
            raise foreign_cursor()
        return int(shard), inner or None


def _sum(parts: Sequence[Stats] | Sequence[Totals]) -> Totals:
    totals = {name: sum(part.totals[name] for part in parts) for name in parts[0].totals}
    return Totals(totals, max(part.now_ms for part in parts))
