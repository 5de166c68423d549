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
from collections.abc import Sequence
from typing import Final

from redis.exceptions import RedisError

from ironforge.errors import LeaseLost
from ironforge.formats.timestamps import now_ms
from ironforge.job.definition import Announcement
from ironforge.logs.setup import get_logger
from ironforge.redis.blocking_connection import BlockingConnection
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import LOST, Keys
from ironforge.redis.outages import raise_store_error, retry_through_outage
from ironforge.redis.scripts import BEAT, FENCE, JOIN
from ironforge.redis.server_locator import ServerLocator
from ironforge.settings import Settings
from ironforge.store.consumer.consumer_groups import make_groups
from ironforge.store.consumer.recovery import RELEASED, End, Recovery
from ironforge.store.kinds import KINDS_KEPT, VERSIONS_KEPT
from ironforge.store.limits import offer
from ironforge.store.node_contract import Entered, Lease, nobody_hears
from ironforge.store.pending_jobs import about, muster, runs
from ironforge.store.retention import milliseconds, score_ms
from ironforge.store.server_clock import ServerClock

log = get_logger("ironforge.store")

_DIED: Final = "node %s died, or lost its lease,"


class RedisLeases:
    """Implements `node_contract.Leases`. The heartbeat has a connection of its own, used from its own thread.

    `announced`: the kinds that this node runs; None where it does not say. `defines`: their definitions are kept here.
    `limits` and `schedules` that its code defines, which are announced already.
    `clock` is set by each answer that says the time.
    """

    def __init__(
        self,
        settings: Settings,
        keys: Keys,
        connection: Connection,
        announced: Sequence[Announcement] | None = None,
        *,
        defines: bool = True,
        limits: Sequence[Announcement] = (),
        schedules: Sequence[Announcement] = (),
        clock: ServerClock | None = None,
    ) -> None:
        self._clock = clock or ServerClock()
        self._settings = settings
        self._announced = announced
        self._defines = defines
        self._limits = limits
        self._schedules = schedules
        self._keys = keys
        self._connection = connection
        self._recovery = Recovery(settings, keys, connection)
        self._lease_ms = round(settings.lease_seconds * 1000)
        self._previous: Lease | None = None
        self._pulse = BlockingConnection(
            ServerLocator(settings.redis_url, keys.prefix), max(0.5, settings.lease_seconds / 6)
        )

    async def join(self, entered: Entered = nobody_hears) -> Lease:
        lease = await self.enter(new_name())
        entered(lease)
        await self.reclaim(lease)
        return lease

    async def enter(self, node: str) -> Lease:
        """The first half of `join`. `node`: its name."""
        names = self._keys
        epoch = await self._enter(node)
        await retry_through_outage(lambda: make_groups(self._connection, names, names.streams(self._settings.queues)))
        return Lease(node, epoch)

    async def reclaim(self, lease: Lease) -> None:
        """The second half of `join`, which may take longer than a lease lasts."""
        if self._previous is not None:
            # Fenced or crashed, it may have read on until its end, and it can requeue nothing itself any more. Its
            # fence goes first: a settlement that is still under way must not end what is about to be requeued.
            previous = self._previous
            # What it held has been counted by whoever took it over, or is not to be counted: an outage is nobody's
            # fault. Here is requeued what it had read on; but what it ran alone may be found here first.
            taken_over = await self._was_taken_over(previous)
            end = End(alone=True, what=_DIED % previous.node) if taken_over else RELEASED
            await self._forget(previous)
            await self._recovery.everything(lease, previous.node, end)
            # It may have been fenced because a group was destroyed.
            await self._recovery.everything(lease, LOST, RELEASED)
        self._previous = lease

    def beat(self, lease: Lease) -> list[str]:
        keys = BEAT.keys(self._keys, fence=self._keys.fence(lease.node))
        arguments: list[str | bytes | int] = [lease.epoch, lease.node, self._lease_ms]
        try:
            reply = self._pulse.run(BEAT, keys, arguments)
        except (RedisError, OSError) as error:
            raise_store_error(error)
        names = [name.decode(errors="replace") for name in reply]
        return [name for name in names if name != lease.node]

    async def take_over(self, lease: Lease, node: str, *, crashed: bool = True, seen_dead: bool = False) -> int:
        """0 as well when the node has a lease after all."""
        names = self._keys
        keys = FENCE.keys(names, fence=names.fence(lease.node), highest=names.epoch, other_fence=names.fence(node))
        arguments: Command = [lease.epoch, node, names.signals, int(seen_dead)]
        if not await retry_through_outage(lambda: self._connection.run(FENCE, keys, arguments)):
            return 0
        end = End(held=True, alone=True, what=_DIED % node) if crashed and node != LOST else RELEASED
        return await self._recovery.everything(lease, node, end)

    async def orphan_consumers(self) -> list[str]:
        """Also those that hold nothing: they are to be forgotten."""
        found = await retry_through_outage(lambda: muster(self._keys, self._connection.run))
        return sorted({consumer.name for consumer in found.consumers} - set(found.nodes))

    def note_blocked(self, lease: Lease, job_id: bytes, seen: str) -> None:
        key = self._keys.blocked(lease.node)
        # Longer than it takes until somebody else asks for it.
        command: Command = ["SET", key, job_id + seen.encode(), "PX", 4 * self._lease_ms] if seen else ["DEL", key]
        try:
            self._pulse.call(*command)
        except (RedisError, OSError) as error:
            raise_store_error(error)

    async def leave(self, lease: Lease, *, crashed: bool = False) -> None:
        """A lease that is lost already is left already."""
        end = End(held=True, alone=True, what=f"a role of node {lease.node} crashed") if crashed else RELEASED
        try:
            await self._recovery.everything(lease, lease.node, end)
        except LeaseLost:
            return
        await self._forget(lease)

    async def close(self) -> None:
        self._pulse.close()

    async def _enter(self, node: str) -> int:
        """The epoch of its lease."""
        names, queues = self._keys, self._settings.queues
        said = "" if self._announced is None else runs(self._announced)
        itself = about(self._settings, now_ms(), self._announced or (), self._limits, self._schedules)
        arguments: list[str | bytes | int] = [node, self._lease_ms, itself, said]
        arguments += [VERSIONS_KEPT, KINDS_KEPT, len(queues), *queues]
        for each in (self._defines and self._announced) or ():
            arguments += each
        keys = JOIN.keys(names, own_fence=names.fence(node))
        epoch, refused, limits = await retry_through_outage(lambda: self._joined(keys, arguments))
        await retry_through_outage(lambda: offer(self._connection, names, limits))
        if refused:
            log.warning("kinds_not_kept", kinds=refused, most=KINDS_KEPT)
        return epoch

    async def _joined(self, keys: list[str], arguments: Command) -> tuple[int, int, list[bytes]]:
        asked_at = time.monotonic()
        epoch, refused, server_ms, *limits = await self._connection.run(JOIN, keys, arguments)
        self._clock.note(server_ms, asked_at)
        return epoch, refused, limits

    async def _was_taken_over(self, lease: Lease) -> bool:
        """And not only fenced, as all nodes are when a group was destroyed: their leases have not run out."""
        names = self._keys
        asked: list[Command] = [["GET", names.fence(lease.node)], ["ZSCORE", names.nodes, lease.node], ["TIME"]]
        fence, deadline, clock = await retry_through_outage(lambda: self._connection.pipeline(asked))
        if not isinstance(fence, bytes) or fence == str(lease.epoch).encode():
            return False
        return not isinstance(deadline, bytes) or score_ms(deadline) <= milliseconds(clock)

    async def _forget(self, lease: Lease) -> None:
        await retry_through_outage(lambda: self._connection.call("DEL", self._keys.fence(lease.node)))
        self._previous = None


def new_name() -> str:
    """Of a node's incarnation: the machine, the process, and something that no other incarnation has."""
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:40]
    return f"{host}.{os.getpid()}.{secrets.token_hex(4)}"
