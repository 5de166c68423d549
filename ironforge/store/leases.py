"""Leases: joining, the heartbeat, and taking over what a dead node held.

Only the entries of a node that has been fenced are touched, never those of a live one, however long its jobs run:
so a long job is never started twice. The order is fence, move, forget; whoever finds a take-over half done repeats it.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import time

from redis.exceptions import RedisError

from ironforge.config import Settings
from ironforge.errors import IncompatibleRecord, LeaseLost
from ironforge.job import Job, JobState, decode, streams_of
from ironforge.store.address import Address
from ironforge.store.contract import Delivery, Lease, Rewrite
from ironforge.store.fetching import PAGE
from ironforge.store.groups import make_groups
from ironforge.store.keys import GROUP, LOST, Keys
from ironforge.store.link import Command, Link
from ironforge.store.outage import WrongType, outlast, refuse
from ironforge.store.pulse import Pulse
from ironforge.store.running import about, muster
from ironforge.store.scripts import BEAT, FENCE, JOIN, RETIRE
from ironforge.store.work import RedisWork


class RedisLeases:
    """Implements `contract.Leases`. The heartbeat has a connection of its own, used from its own thread."""

    def __init__(self, settings: Settings, keys: Keys, *, commanding: Link, fetching: Link) -> None:
        self._settings = settings
        self._keys = keys
        self._link = commanding
        self._fetching = fetching
        self._lease_ms = round(settings.lease_seconds * 1000)
        self._previous: Lease | None = None
        self._pulse = Pulse(Address(settings.redis_url, keys.prefix), max(0.5, settings.lease_seconds / 6))

    async def join(self, node: str = "") -> Lease:
        """See `contract.Leases.join`. `node`: the name, where the same node joins several shards."""
        names = self._keys
        node = node or new_name()
        keys = [names.epoch, names.nodes, names.fence(node), names.queues, names.roster]
        queues = self._settings.queues
        said = about(self._settings, time.time_ns() // 1_000_000)
        epoch = await outlast(lambda: self._link.run(JOIN, keys, [node, self._lease_ms, said, *queues]))
        streams = [names.stream(name) for name in streams_of(queues)]
        await outlast(lambda: make_groups(self._link, names, streams))
        lease = Lease(node, epoch)
        if self._previous is not None:
            # Fenced or crashed, it may have read on until its end, and it can put nothing back itself any more. Its
            # fence goes first: a settlement that is still under way must not end what is about to be put back.
            previous = self._previous
            await self._forget(previous)
            await self._empty(lease, previous.node, crashed=False)
            # It may have been fenced because a group was destroyed.
            await self._empty(lease, LOST, crashed=False)
        self._previous = lease
        return lease

    def beat(self, lease: Lease) -> list[str]:
        """See `contract.Leases.beat`."""
        keys = [self._keys.fence(lease.node), self._keys.nodes]
        arguments: list[str | bytes | int] = [lease.epoch, lease.node, self._lease_ms]
        try:
            reply = self._pulse.run(BEAT, keys, arguments)
        except (RedisError, OSError) as error:
            refuse(error)
        names = [name.decode(errors="replace") for name in reply]
        return [name for name in names if name != lease.node]

    async def take_over(self, lease: Lease, node: str, *, crashed: bool = True, seen_dead: bool = False) -> int:
        """See `contract.Leases.take_over`. 0 as well when the node has a lease after all."""
        names = self._keys
        keys = [names.fence(lease.node), names.nodes, names.epoch, names.fence(node)]
        arguments: Command = [lease.epoch, node, names.signals, int(seen_dead)]
        if not await outlast(lambda: self._link.run(FENCE, keys, arguments)):
            return 0
        return await self._empty(lease, node, crashed=crashed and node != LOST)

    async def strays(self) -> list[str]:
        """See `contract.Leases.strays`. Those without pending entries are named too: they are to be forgotten."""
        try:
            found = await outlast(lambda: muster(self._keys, self._link.run), until_repaired=False)
        except WrongType:
            return []
        return sorted({consumer.name for consumer in found.consumers} - set(found.nodes))

    async def leave(self, lease: Lease) -> None:
        """See `contract.Leases.leave`. A lease that is lost already is left already."""
        try:
            await self._empty(lease, lease.node, crashed=False)
        except LeaseLost:
            return
        await self._forget(lease)

    async def close(self) -> None:
        self._pulse.close()

    async def _read_by(self, node: str) -> list[str]:
        """The streams that it has read. Those of other queues than ours, while nobody can name them, are found as a
        stray's afterwards, and so is what a node reads that is alive after all."""
        try:
            found = await outlast(lambda: muster(self._keys, self._link.run), until_repaired=False)
        except WrongType:
            return self._keys.streams(self._settings.queues)
        return [self._keys.stream(one.stream) for one in found.consumers if one.name == node]

    async def _forget(self, lease: Lease) -> None:
        await outlast(lambda: self._link.call("DEL", self._keys.fence(lease.node)))
        self._previous = None

    async def _empty(self, lease: Lease, node: str, *, crashed: bool) -> int:
        names = self._keys
        work = RedisWork(self._settings, names, lease, fetching=self._fetching, commanding=self._link)
        moved = 0
        try:
            while True:
                streams = await self._read_by(node)
                keys = [names.fence(lease.node), names.nodes, names.roster, *streams]
                for key in streams:
                    moved += await self._empty_stream(work, key, node, crashed=crashed)
                left = await outlast(lambda: self._link.run(RETIRE, keys, [lease.epoch, node]))  # noqa: B023 - at once
                # A fenced node that is alive reads back what was just put back, until it hears of its fate: to go on
                # would count a crash each time. It puts that back itself, or it is found as a stray.
                if not left or node != lease.node:
                    return moved
        finally:
            await work.close()

    async def _empty_stream(self, work: RedisWork, key: str, node: str, *, crashed: bool) -> int:
        moved = 0
        start = "-"
        end = await outlast(lambda: self._last_entry(key))
        while pending := await outlast(lambda: self._pending(key, node, start, end)):  # noqa: B023 - called at once
            start = "(" + pending[-1].decode()
            commands: list[Command] = [["XRANGE", key, entry, entry] for entry in pending]
            bodies = await outlast(lambda: self._link.pipeline(commands))  # noqa: B023 - called at once
            name = key.removeprefix(self._keys.stream(""))
            found = [Delivery(name, rows[0][0], rows[0][1][1]) for rows in bodies if rows]
            gone = [entry for entry, rows in zip(pending, bodies, strict=True) if not rows]
            if gone:
                await outlast(lambda: self._link.call("XACK", key, GROUP, *gone))  # noqa: B023 - called at once
            moved += await self._move(work, found, crashed=crashed)
        return moved

    async def _last_entry(self, key: str) -> str:
        """What is put back comes after it, and is not to be looked at again. Pending entries may have lost their
        bodies, so the last id ever given counts and not the last entry that is there."""
        (reply,) = await self._link.pipeline([["XINFO", "STREAM", key]], tolerate=("no such key", "WRONGTYPE"))
        if isinstance(reply, Exception):
            return "+"
        last: bytes = dict(zip(reply[::2], reply[1::2], strict=True))[b"last-generated-id"]
        return last.decode()

    async def _pending(self, key: str, node: str, start: str, end: str) -> list[bytes]:
        command: Command = ["XPENDING", key, GROUP, start, end, PAGE, node]
        (rows,) = await self._link.pipeline([command], tolerate=("NOGROUP", "WRONGTYPE"))
        return [] if isinstance(rows, Exception) else [row[0] for row in rows]

    async def _move(self, work: RedisWork, found: list[Delivery], *, crashed: bool) -> int:
        back: list[Rewrite] = []
        poison: list[Rewrite] = []
        for delivery in found:
            try:
                job = decode(delivery.record)
            except IncompatibleRecord as error:
                await work.bury_raw(delivery, str(error))
                continue
            job = job.again(crashes=job.crashes + 1) if crashed else job.again()
            spent = crashed and job.crashes >= self._settings.crash_budget
            rewrite = Rewrite(delivery.stream, delivery.entry, _poisoned(job) if spent else job, failed=False)
            (poison if spent else back).append(rewrite)
        moved = await work.put_back(back) if back else 0
        if poison:
            await work.bury(poison)
        return moved + len(poison)


def new_name() -> str:
    """Of a node's incarnation: the machine, the process, and something that no other incarnation has."""
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:40]
    return f"{host}.{os.getpid()}.{secrets.token_hex(4)}"


def _poisoned(job: Job) -> Job:
    reason = f"poison: {job.crashes} nodes died while they held this job"
    return job.finish(JobState.DEAD, time.time_ns() // 1_000_000, reason=reason)
