"""Requeuing what a node held, entry by entry, whatever ended it: taken over, left, or begun anew.

Only the entries of a node that has been fenced are touched, or the caller's own. Whoever finds it half done repeats it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from ironforge.errors import IncompatibleRecord
from ironforge.job.crashes import Crash, is_suspect, requeued
from ironforge.job.record import RECORD_VERSION, Job, decode, is_alone
from ironforge.logs.setup import get_logger
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import GROUP, ID_BYTES, Keys
from ironforge.redis.outages import ABSENT, retry_through_outage
from ironforge.redis.replies import pairs
from ironforge.redis.scripts import ARM, RETIRE
from ironforge.redis.step_keys import journal_of
from ironforge.settings import Settings
from ironforge.steps.first_run import recorded
from ironforge.steps.journal import HEAD, fence_of
from ironforge.store.consumer.acknowledger import Acknowledger
from ironforge.store.consumer.requeuer import Requeuer
from ironforge.store.consumer.stream_reader import PAGE
from ironforge.store.limits import offer
from ironforge.store.node_contract import Delivery, Lease, Rewrite
from ironforge.store.node_view import About
from ironforge.store.pending_jobs import muster
from ironforge.store.versions import stays

log = get_logger("ironforge.store")


class End(NamedTuple):
    """How a node ended that held something: whether by a crash that counts on all of it (`held`), or on what it ran
    alone (`alone`), and what its event loop was blocked by, if that is known: a job, and words. `node`: its name;
    `same`: the version of its application by kind, of those whose jobs stay with it."""

    held: bool = False
    alone: bool = False
    what: str = ""
    blocked_by: bytes = b""
    seen: str = ""
    node: str = ""
    same: Mapping[str, str] = {}

    def crash(self, job_id: bytes, stream: str) -> Crash | None:
        alone = is_alone(stream)
        if not (self.alone if alone else self.held):
            return None
        return Crash(self.what, self.node, alone, self.seen if job_id == self.blocked_by else "")


RELEASED: Final = End()


class Recovery:
    """For one shard."""

    def __init__(self, settings: Settings, keys: Keys, connection: Connection) -> None:
        self._settings = settings
        self._keys = keys
        self._connection = connection

    async def everything(self, lease: Lease, node: str, end: End) -> int:
        """Of `node`, and forget it; how many jobs moved. Raises LeaseLost when that is the caller's fate."""
        if end.alone:
            end = await self._with_seen(end, node)
        names = self._keys
        if node == lease.node:
            # A settlement that it gave up, and that is on its way still, must not end what is about to be requeued.
            keys = ARM.keys(names, fence=names.fence(node))
            await retry_through_outage(lambda: self._connection.run(ARM, keys, [lease.epoch]))
        acknowledger = Acknowledger(self._settings, names, lease)
        work = Requeuer(self._settings, names, lease, self._connection, acknowledger)
        moved = 0
        try:
            while True:
                streams, same = await self._read_by(node)
                keys = RETIRE.keys(names, *streams, fence=names.fence(lease.node))
                for key in streams:
                    moved += await self._empty_stream(work, key, end._replace(node=node, same=same))
                left, *limits = await retry_through_outage(
                    lambda: self._connection.run(RETIRE, keys, [lease.epoch, node])  # noqa: B023 - at once
                )
                await retry_through_outage(lambda: offer(self._connection, names, limits))  # noqa: B023 - at once
                # A fenced node that is alive reads back what was just requeued, until it hears of its fate: to go on
                # would count a crash each time. It requeues that itself, or it is found as an orphan.
                if not left or node != lease.node:
                    return moved
        finally:
            await acknowledger.close()

    async def _empty_stream(self, work: Requeuer, key: str, end: End) -> int:
        moved = 0
        start = "-"
        last = await retry_through_outage(lambda: self._last_entry(key))
        while pending := await retry_through_outage(lambda: self._pending(key, end.node, start, last)):  # noqa: B023 - called at once
            start = "(" + pending[-1].decode()
            commands: list[Command] = [["XRANGE", key, entry, entry] for entry in pending]
            bodies = await retry_through_outage(lambda: self._connection.pipeline(commands))  # noqa: B023 - called at once
            name = key.removeprefix(self._keys.stream(""))
            found = [(name, rows[0][0], rows[0][1][1]) for rows in bodies if rows]
            gone = [entry for entry, rows in zip(pending, bodies, strict=True) if not rows]
            if gone:
                await retry_through_outage(lambda: self._connection.call("XACK", key, GROUP, *gone))  # noqa: B023 - called at once
            moved += await self._move(work, found, end)
        return moved

    async def _last_entry(self, key: str) -> str:
        """What is requeued comes after it, and is not to be looked at again. Pending entries may have lost their
        bodies, so the last id ever given counts and not the last entry that is there."""
        (reply,) = await self._connection.pipeline([["XINFO", "STREAM", key]], tolerate=ABSENT)
        if isinstance(reply, Exception):
            return "+"
        last: bytes = dict(pairs(reply))[b"last-generated-id"]
        return last.decode()

    async def _pending(self, key: str, node: str, start: str, last: str) -> list[bytes]:
        command: Command = ["XPENDING", key, GROUP, start, last, PAGE, node]
        (rows,) = await self._connection.pipeline([command], tolerate=ABSENT)
        return [] if isinstance(rows, Exception) else [row[0] for row in rows]

    async def _move(self, work: Requeuer, found: list[Delivery], end: End) -> int:
        back: list[Rewrite] = []
        poison: list[Rewrite] = []
        budget = self._settings.crash_budget
        for (stream, entry, _), held in await self._with_journals(await self._read(work, found)):
            if version := end.same.get(held.kind):
                held = stays(held, version)  # noqa: PLW2901 - it may have run there
            job = requeued(held, budget, end.crash(held.id, stream))
            if job.ended:
                log.warning("job_is_dead", job_id=job.text_id, kind=job.kind, reason=job.reason)
            rewrite = Rewrite.of(stream, entry, job, failed=False, alone=is_suspect(job, budget))
            (poison if job.ended else back).append(rewrite)
        await work.bury(poison)
        return await work.requeue(back) + len(poison)

    async def _read(self, work: Requeuer, found: list[Delivery]) -> list[tuple[Delivery, Job]]:
        """What is no job is put aside."""
        read = []
        for delivery in found:
            try:
                read.append((delivery, decode(delivery[2])))
            except IncompatibleRecord as error:
                await work.quarantine(delivery, str(error))
        return read

    async def _with_journals(self, found: list[tuple[Delivery, Job]]) -> list[tuple[Delivery, Job]]:
        """What a run has recorded its record cannot say before it ends. A job whose last run got further than the one
        before has begun to crash anew."""
        ask: list[Command] = [["HGET", journal_of(self._keys, job.id), HEAD] for _, job in found]
        heads = await retry_through_outage(lambda: self._connection.pipeline(ask)) if ask else []
        return [(delivery, _continued(job, head)) for (delivery, job), head in zip(found, heads, strict=True)]

    async def _read_by(self, node: str) -> tuple[list[str], Mapping[str, str]]:
        """The streams that it has read, and what jobs stay with of what it ran. What a node that is alive reads
        afterwards is found as an orphan's: nothing of that was recorded."""
        found = await retry_through_outage(lambda: muster(self._keys, self._connection.run))
        about = found.about.get(node, About())
        streams = [self._keys.stream(one.stream) for one in found.consumers if one.name == node]
        return streams, dict.fromkeys(about.same, about.app_version)

    async def _with_seen(self, end: End, node: str) -> End:
        seen = await retry_through_outage(lambda: self._connection.call("GET", self._keys.blocked(node)))
        if seen is None:
            return end
        return end._replace(blocked_by=seen[:ID_BYTES], seen=seen[ID_BYTES:].decode(errors="replace"))


def _continued(job: Job, head: bytes | None) -> Job:
    """`head` of its journal, None: it has none."""
    if head is None:
        return job
    crashes = 0 if fence_of(head) == job.fence else job.crashes
    return msgspec.structs.replace(job, version=RECORD_VERSION, journal=recorded(job.journal), crashes=crashes)
