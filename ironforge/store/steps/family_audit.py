"""Looking after jobs that have children, a page at a time: what should never be found.

What ends a child tells its parent in the same transaction. So a parent that waits for no open child, one that has ended
without its children being seen to, and an open child that is nowhere, are bugs or damage: somebody would wait for ever.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from ironforge.formats.timestamps import now_ms
from ironforge.job.record import JobState, encode
from ironforge.redis.connection import Command
from ironforge.redis.outages import retry_through_outage
from ironforge.redis.replies import pairs, rows
from ironforge.redis.scripts import AUDIT_FAMILIES
from ironforge.store.node_contract import Lease
from ironforge.store.steps.ends import lost_job
from ironforge.store.steps.links import ChildEnd, ShardLinks, deliver_ends

PAGE: Final = 100
# Open children of each that are looked for.
SAMPLE: Final = 50
# A child may be on its way to another shard, or its end on its way from there.
GRACE_SECONDS: Final = 60.0
LOST: Final = "lost: this job is nowhere, after damage to what the server keeps"


class FamilyAudit:
    """Under one lease."""

    def __init__(self, lease: Lease, links: ShardLinks) -> None:
        self._lease = lease
        self._links = links
        self._at = 0
        self._nowhere_since: dict[tuple[bytes, bytes], float] = {}

    async def page(self) -> int:
        """How many of some parents and children were lost: they are mended."""
        return await retry_through_outage(self._look)

    async def _look(self) -> int:
        keys, connection, _ = self._links.own
        parents = await connection.call("ZRANGE", keys.families, self._at, self._at + PAGE - 1)
        if not parents and not self._at:
            self._nowhere_since.clear()
            return 0
        self._at = self._at + PAGE if len(parents) == PAGE else 0
        names = AUDIT_FAMILIES.keys(keys, fence=keys.fence(self._lease.node), waiting=keys.waiting("children"))
        lost, *found = await connection.run(AUDIT_FAMILIES, names, [self._lease.epoch, SAMPLE, *parents])
        open_ones = [(parent, *child) for parent, flat in rows(found, 2) for child in pairs(flat)]
        gone = await self._gone(open_ones)
        if gone:
            await deliver_ends(
                self._links.own, [ChildEnd(parent, member, _lost(job_id)) for parent, member, job_id in gone]
            )
        return int(lost) + len(gone)

    async def _gone(self, children: Sequence[tuple[bytes, bytes, bytes]]) -> list[tuple[bytes, bytes, bytes]]:
        """Those that have been nowhere for long. What lies in a quarantine may be any of them, and come back."""
        by_shard: defaultdict[int, list[tuple[bytes, bytes, bytes]]] = defaultdict(list)
        for child in children:
            by_shard[self._links.number_of(child[2])].append(child)
        gone = []
        for shard, group in by_shard.items():
            keys, connection, _ = self._links.shards[shard]
            ask: list[Command] = [["HMGET", keys.index, *(job_id for *_, job_id in group)], ["XLEN", keys.quarantine]]
            places, put_aside = await connection.pipeline(ask)
            for child, place in zip(group, places, strict=True):
                if place is not None or put_aside:
                    self._nowhere_since.pop(child[:2], None)
                elif self._is_gone(child[:2]):
                    gone.append(child)
        return gone

    def _is_gone(self, child: tuple[bytes, bytes]) -> bool:
        since = self._nowhere_since.setdefault(child, time.monotonic())
        return time.monotonic() - since >= GRACE_SECONDS


def _lost(job_id: bytes) -> bytes:
    """The record that its parent gets of a child of which nothing else is known."""
    return encode(lost_job(job_id).finish(JobState.CANCELLED, now_ms(), reason=LOST))
