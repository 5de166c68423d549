"""What goes on between jobs and their children once one of them has ended, a bounded number at once.

Children of a parent that has ended, or is dead, are cancelled, and theirs with them. Ends of children are told to
parents in other shards. Each node does it; what it finds half done, or done by another one as well, it repeats.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from redis.exceptions import RedisError

from ironforge.errors import IncompatibleRecord, InvalidState, JobNotFound, StoreError
from ironforge.formats.timestamps import now_ms
from ironforge.job.record import JobState
from ironforge.logs.setup import get_logger
from ironforge.redis.causes import said
from ironforge.redis.connection import Command
from ironforge.redis.family_keys import children_of, results_of
from ironforge.redis.replies import pairs
from ironforge.redis.scripts import SEE_TO_FAMILY
from ironforge.settings import Settings
from ironforge.store.located_jobs import LocatedJobs
from ironforge.store.steps.links import ChildEnd, ShardLinks, deliver_ends

LOOK_SECONDS: Final = 0.5
# Looked at in one sweep.
PARENTS: Final = 20
CHILDREN_AT_ONCE: Final = 500
# Their records are read together.
CANCELLED_AT_ONCE: Final = 50
ENDS_AT_ONCE: Final = 500
PAGES: Final = 10
# A child that is nowhere may be on its way to another shard, or its end on its way from there.
GRACE_SECONDS: Final = 60.0
# The scores are by the clocks of nodes, the expiry itself by that of the server.
SLACK_MS: Final = 600_000

log = get_logger("ironforge.store")


class FamilySweep:
    """Of one shard."""

    def __init__(self, settings: Settings, links: ShardLinks) -> None:
        self._links = links
        self._located = [LocatedJobs(settings, link.keys, link.connection) for link in links.shards]
        self._keys, self._connection, _ = links.own
        self._swept_at = -math.inf
        self._cursors: dict[bytes, bytes] = {}
        self._nowhere_since: dict[tuple[bytes, bytes], float] = {}

    async def sweep_if_due(self) -> bool:
        """Whether there is more to do at once. It raises nothing: what keeps families waiting keeps no job from falling
        due."""
        if time.monotonic() - self._swept_at < LOOK_SECONDS:
            return False
        self._swept_at = time.monotonic()
        try:
            more = await self.sweep()
        except (RedisError, OSError, StoreError) as error:
            log.warning("families_not_seen_to", error=said(error))
            return False
        if more:
            self._swept_at = -math.inf
        return more

    async def sweep(self) -> bool:
        """Whether there is more to do at once. Raises what the connection raises; the rest is done later then."""
        families, outbox = self._keys.families, self._keys.outbox
        parents, ends, _ = await self._connection.pipeline(
            [
                ["ZRANGE", families, "-inf", "(0", "BYSCORE", "LIMIT", 0, PARENTS],
                ["XRANGE", outbox, "-", "+", "COUNT", ENDS_AT_ONCE],
                ["ZREMRANGEBYSCORE", families, 1, now_ms() - SLACK_MS],
            ]
        )
        more = await self._deliver(ends) if ends else False
        cancelled = 0
        for parent in parents:
            cancelled += await self._see_to(parent)
        if not parents:
            self._cursors.clear()
            self._nowhere_since.clear()
        if cancelled:
            log.info("children_cancelled", jobs=cancelled)
        return more or cancelled > 0

    async def _deliver(self, page: list[Any]) -> bool:
        """All that is there, but for shards that are away; whether there is more."""
        away: set[int] = set()
        for _ in range(PAGES):
            by_shard: defaultdict[int, list[tuple[bytes, ChildEnd]]] = defaultdict(list)
            for entry, flat in page:
                fields = dict(pairs(flat))
                end = ChildEnd(fields[b"parent"], fields[b"member"], fields[b"record"])
                by_shard[self._links.number_of(end.parent)].append((entry, end))
            for shard, group in by_shard.items():
                if shard not in away and not await self._deliver_to(shard, group):
                    away.add(shard)
            if len(page) < ENDS_AT_ONCE:
                return False
            after = "(" + page[-1][0].decode()
            page = await self._connection.call("XRANGE", self._keys.outbox, after, "+", "COUNT", ENDS_AT_ONCE)
        return not away

    async def _deliver_to(self, shard: int, group: Sequence[tuple[bytes, ChildEnd]]) -> bool:
        try:
            await deliver_ends(self._links.shards[shard], [end for _, end in group])
        except (RedisError, OSError) as error:
            log.warning("ends_of_children_not_delivered", shard=shard, error=said(error))
            return False
        await self._connection.call("XDEL", self._keys.outbox, *(entry for entry, _ in group))
        return True

    async def _see_to(self, parent: bytes) -> int:
        """Cancel some of its children; how many of these will never run now."""
        cancelled, nowhere = 0, []
        children = await self._open_children(parent)
        known = await self._cancel_together([job_id for _, job_id in children])
        for member, job_id in children:
            if job_id in known:
                cancelled += known[job_id].is_terminal
                continue
            try:
                state = await self._located[self._links.number_of(job_id)].cancel(job_id)
            except (JobNotFound, InvalidState):
                if self._is_nowhere(parent, member, job_id):
                    nowhere.append(member)
            except (IncompatibleRecord, StoreError, RedisError, OSError) as error:
                log.warning("child_not_cancelled", job_id=job_id.hex(), error=said(error))
            else:
                cancelled += state.is_terminal
        names = SEE_TO_FAMILY.keys(
            self._keys, children=children_of(self._keys, parent), results=results_of(self._keys, parent)
        )
        if await self._connection.run(SEE_TO_FAMILY, names, [parent, *nowhere]):
            self._cursors.pop(parent, None)
        return cancelled

    async def _cancel_together(self, job_ids: Sequence[bytes]) -> dict[bytes, JobState]:
        """What became of those that this could be done for; the others are looked at one by one."""
        by_shard: defaultdict[int, list[bytes]] = defaultdict(list)
        for job_id in job_ids:
            by_shard[self._links.number_of(job_id)].append(job_id)
        known: dict[bytes, JobState] = {}
        for shard, ids in by_shard.items():
            for start in range(0, len(ids), CANCELLED_AT_ONCE):
                with contextlib.suppress(IncompatibleRecord, StoreError, RedisError, OSError):
                    known |= await self._located[shard].cancel_together(ids[start : start + CANCELLED_AT_ONCE])
        return known

    async def _open_children(self, parent: bytes) -> list[tuple[bytes, bytes]]:
        """Some of them, each time others. None when it lives again: what it has submitted since must go on."""
        cursor = self._cursors.get(parent, b"0")
        look: list[Command] = [
            ["MULTI"],
            ["ZSCORE", self._keys.families, parent],
            ["HSCAN", children_of(self._keys, parent), cursor, "COUNT", CHILDREN_AT_ONCE],
            ["EXEC"],
        ]
        *_, (score, (cursor, flat)) = await self._connection.pipeline(look)
        self._cursors[parent] = cursor
        return list(pairs(flat)) if score is not None and float(score) < 0 else []

    def _is_nowhere(self, parent: bytes, member: bytes, job_id: bytes) -> bool:
        """Whether it has ended. In this shard its parent is told at once, and it was noted when it was stored."""
        if self._links.number_of(job_id) == self._links.shard:
            return True
        since = self._nowhere_since.setdefault((parent, member), time.monotonic())
        return time.monotonic() - since > GRACE_SECONDS
