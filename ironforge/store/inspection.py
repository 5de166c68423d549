"""Looking: one job, lists of jobs, counters, nodes, and the state of the server itself.

Reads take turns over a few connections, so that a slow listing does not hold up the status of one job. A read is
repeated once on a new connection, because nothing is easier to repeat.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final

from redis.exceptions import AskError
from redis.exceptions import ConnectionError as Disconnected

from ironforge.config import Settings
from ironforge.errors import JobNotFound
from ironforge.job import JobState, created_ms_of, format_id, split_stream, stream_name
from ironforge.store.checks import health_of
from ironforge.store.contract import Health, JobView, NodeView, Page, Stats, StreamDepth
from ironforge.store.info import DIGITS
from ironforge.store.keys import GROUP, Keys, Location, queue_names
from ironforge.store.link import Command, Link
from ironforge.store.listing import Listing
from ironforge.store.outage import ABSENT, SPOILT, answering, first_of, raise_first
from ironforge.store.records import group_of, milliseconds, queued_or_running, readable, score_ms, terminal_record

CONNECTIONS: Final = 4
# How often a job may move between two reads before it counts as not there.
LOOKS: Final = 5
# So many of those that wait for their turn are looked at for the oldest.
HEADS: Final = 100
TOTALS: Final = ("submitted", "completed", "failed", "retried", "dead", "cancelled")


class RedisInspection:
    """Implements `contract.Inspection`."""

    def __init__(self, settings: Settings, keys: Keys) -> None:
        self._settings = settings
        self._keys = keys
        self._links = [Link(settings.redis_url, keys.prefix) for _ in range(CONNECTIONS)]
        self._turns = itertools.cycle(self._links)
        self._listing = Listing(settings, self._keys, self._ask)

    async def get(self, job_id: bytes) -> JobView:
        """See `contract.Inspection.get`."""
        with answering():
            for _ in range(LOOKS):
                view = await self._look(job_id)
                if view is not None:
                    return view
        raise _not_found(job_id)

    async def jobs(
        self,
        *,
        state: JobState | None = None,
        kind: str | None = None,
        queue: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """See `contract.Inspection.jobs`."""
        with answering():
            return await self._listing.page(state, kind, queue, limit, cursor)

    async def stats(self) -> Stats:
        """See `contract.Inspection.stats`."""
        keys = self._keys
        with answering():
            scheduled, dead, totals, time, names, paused = await self._ask(
                ["ZCARD", keys.scheduled],
                ["ZCARD", keys.dead],
                ["HGETALL", keys.totals],
                ["TIME"],
                ["SMEMBERS", keys.queues],
                ["SMEMBERS", keys.paused],
            )
            depths = await self._depths(queue_names(names))
        return Stats(depths, scheduled, dead, totals_of(totals), milliseconds(time), queue_names(paused))

    async def nodes(self) -> list[NodeView]:
        """See `contract.Inspection.nodes`."""
        keys = self._keys
        with answering():
            leases, time, names = await self._ask(
                ["ZRANGE", keys.nodes, 0, -1, "WITHSCORES"], ["TIME"], ["SMEMBERS", keys.queues]
            )
            streams = keys.streams(queue_names(names))
            groups = await self._ask(*[["XINFO", "CONSUMERS", key, GROUP] for key in streams], tolerate=SPOILT)
        running: dict[bytes, int] = {}
        for consumers in groups:
            for consumer in consumers if isinstance(consumers, list) else ():
                running[consumer[1]] = running.get(consumer[1], 0) + consumer[3]
        now_ms = milliseconds(time)
        return [
            NodeView(node.decode(errors="replace"), score_ms(deadline) - now_ms, running.get(node, 0))
            for node, deadline in zip(leases[::2], leases[1::2], strict=True)
        ]

    async def health(self) -> Health:
        """See `contract.Inspection.health`."""
        with answering():
            return await health_of(self._settings, self._ask)

    async def close(self) -> None:
        for link in self._links:
            await link.close()

    async def _look(self, job_id: bytes) -> JobView | None:
        """None: the job moved between the two reads. Raises JobNotFound."""
        keys = self._keys
        raw, done, kept = await self._ask(
            ["HGET", keys.index, job_id],
            ["HGET", keys.bucket_of(job_id, "done"), job_id],
            ["HGET", keys.bucket_of(job_id, "kept"), job_id],
            tolerate=SPOILT,
        )
        if raw is None:
            job = terminal_record(first_of(done, kept), self._settings)
            if job is None:
                raise _not_found(job_id)
            return JobView(job, JobState(job.ended))
        raise_first(raw)
        location = Location(raw)
        if location.entry:
            return await self._in_stream(location)
        shelf = keys.fair(location.stream) if location.place == "f" else keys.scheduled
        record, due = await self._ask(["HGET", keys.parked, job_id], ["ZSCORE", shelf, job_id])
        job = readable(record)
        if job is None or (location.place != "d" and due is None):
            return None
        if location.place == "f":
            return JobView(job, JobState.QUEUED)
        if location.place == "d":
            return JobView(job, JobState.DEAD)
        return JobView(job, JobState.SCHEDULED, due_ms=score_ms(due or b""))

    async def _in_stream(self, location: Location) -> JobView | None:
        key, entry = self._keys.stream(location.stream), location.entry
        entries, pending, time = await self._ask(
            ["XRANGE", key, entry, entry], ["XPENDING", key, GROUP, entry, entry, 1], ["TIME"]
        )
        job = readable(entries[0][1][1]) if entries else None
        if job is None:
            return None
        return queued_or_running(
            job, pending[0] if isinstance(pending, list) and pending else None, location.raw, milliseconds(time)
        )

    async def _depths(self, queues: list[str]) -> list[StreamDepth]:
        streams = self._keys.streams(queues)
        looks = itertools.chain(*((["XLEN", key], ["XINFO", "GROUPS", key]) for key in streams))
        replies = await self._ask(*looks, tolerate=SPOILT)
        groups = [group_of(reply) for reply in replies[1::2]]
        behind: list[Command] = [
            ["XRANGE", key, b"(" + read, "+", "COUNT", 1] for key, (_, read) in zip(streams, groups, strict=True)
        ]
        heads = await self._ask(*behind, tolerate=SPOILT)
        depths: dict[tuple[str, int], StreamDepth] = {}
        for key, length, (pending, _), head in zip(streams, replies[::2], groups, heads, strict=True):
            queue, priority = split_stream(key.removeprefix(self._keys.stream("")))
            oldest = readable(head[0][1][1]) if isinstance(head, list) and head else None
            depth = StreamDepth(
                queue,
                priority,
                max(0, length - pending) if isinstance(length, int) else 0,
                pending,
                created_ms_of(oldest.id) if oldest else None,
            )
            twin = depths.get((queue, priority))
            depths[queue, priority] = twin.together(depth) if twin else depth
        return await self._with_waiting(depths)

    async def _with_waiting(self, depths: dict[tuple[str, int], StreamDepth]) -> list[StreamDepth]:
        """Also those that wait for their turn. The longest is among the first of their keys, which are in front."""
        keys = [self._keys.fair(stream_name(*place)) for place in depths]
        looks: list[Command] = []
        for key in keys:
            looks += (["ZCARD", key], ["ZRANGE", key, 0, HEADS - 1])
        replies = await self._ask(*looks, tolerate=SPOILT)
        for place, count, heads in zip(list(depths), replies[::2], replies[1::2], strict=True):
            if isinstance(count, int) and isinstance(heads, list):
                waiting = StreamDepth(*place, count, 0, min(map(created_ms_of, heads), default=None))
                depths[place] = depths[place].together(waiting)
        return list(depths.values())

    async def _ask(self, *commands: Command, tolerate: tuple[str, ...] = ABSENT) -> list[Any]:
        if not commands:
            return []
        link = next(self._turns)
        try:
            return await link.pipeline(commands, tolerate=tolerate)
        except (Disconnected, AskError):
            return await link.pipeline(commands, tolerate=tolerate)


def totals_of(flat: Sequence[bytes]) -> dict[str, int]:
    """The counters in a reply of HGETALL. What is none of ours, or no count, is passed over."""
    counted = dict.fromkeys(TOTALS, 0)
    for name, count in zip(flat[::2], flat[1::2], strict=True):
        known = name.decode("latin-1")
        if known in counted and count.isdigit() and len(count) <= DIGITS:
            counted[known] = int(count)
    return counted


def _not_found(job_id: bytes) -> JobNotFound:
    return JobNotFound(f"there is no job {format_id(job_id)}: never submitted, or past its retention")
