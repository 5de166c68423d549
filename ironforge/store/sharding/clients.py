"""Looking at several shards: an id's last byte says which one is asked."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence

from ironforge.job.record import shard_of
from ironforge.steps.journal import RecordedStep
from ironforge.store.contract import (
    ANY_JOB,
    Health,
    Inspector,
    JobFilter,
    JobView,
    Page,
    foreign_cursor,
)
from ironforge.store.counts import ScheduleCounts, Stats, StreamDepth, Totals, VersionLine, Waits
from ironforge.store.kinds import Kinds
from ironforge.store.node_view import NodeView
from ironforge.store.sharding.fan_out import gather_all

# From the best to the worst.
DURABILITY = ("local", "relaxed", "none")


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

    async def steps(self, job_id: bytes) -> list[RecordedStep]:
        return await self._parts[shard_of(job_id, len(self._parts))].steps(job_id)

    async def stats(self, *, max_age_seconds: float = 0.0) -> Stats:
        parts = await gather_all(part.stats(max_age_seconds=max_age_seconds) for part in self._parts)
        depths: dict[tuple[str, int], StreamDepth] = {}
        for depth in (depth for part in parts for depth in part.streams):
            place = depth.queue, depth.priority
            depths[place] = depth.together(depths[place]) if place in depths else depth
        totals, now_ms = _sum(parts)
        scheduled, dead = sum(part.scheduled for part in parts), sum(part.dead for part in parts)
        paused = sorted({queue for part in parts for queue in part.paused})
        schedules = functools.reduce(ScheduleCounts.together, (part.schedules for part in parts))
        waiting = Waits(*map(sum, zip(*(part.waiting for part in parts), strict=True)))
        versions = _together(line for part in parts for line in part.versions)
        whole = totals, now_ms, paused, schedules, waiting, versions
        return Stats(list(depths.values()), scheduled, dead, *whole)

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


def _together(lines: Iterable[VersionLine]) -> list[VersionLine]:
    jobs: Counter[tuple[str, str, str]] = Counter()
    for line in lines:
        jobs[line[:3]] += line.jobs
    return sorted(VersionLine(*where, count) for where, count in jobs.items())


def _sum(parts: Sequence[Stats] | Sequence[Totals]) -> Totals:
    totals = {name: sum(part.totals[name] for part in parts) for name in parts[0].totals}
    return Totals(totals, max(part.now_ms for part in parts))
