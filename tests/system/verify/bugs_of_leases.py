"""Planted bugs in leases and take-overs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from ironforge.actors import leaseholder
from ironforge.job.record import Job, JobState
from ironforge.store.consumer import leases, recovery
from ironforge.verify.handlers import LEDGER_FOLDER
from tests.system.verify.planting import edit

RENEW = "redis.call('ZADD', nodes, till, node)"
LATE_SECONDS = 7.0
DEAF_SECONDS = 0.5


def hear_late() -> None:
    """No bug but bad luck: the signal that a node was fenced is lost, and its heartbeat tells it a while later."""

    def lost(self: Any, message: Any) -> None:
        pass

    told = leaseholder.Leaseholder._on_loss

    def later(self: Any, detail: str) -> None:
        asyncio.get_running_loop().call_later(DEAF_SECONDS, told, self, detail)

    leaseholder.Leaseholder.lease_gone = lost
    leaseholder.Leaseholder._on_loss = later


def heartbeat_stops() -> None:
    """No heartbeat at all: a node that is alive looks dead, and nobody looks for the dead."""
    leaseholder.Heartbeat.start = lambda self: None


def renew_nothing() -> None:
    """The heartbeat looks for dead nodes, and does not renew its own leaseholder."""
    edit(leases.BEAT, (RENEW, ""))


def trust_the_own_clock() -> None:
    """Leases by the clocks of the nodes, and that of one node is two leases ahead."""
    try:
        Path(os.environ[LEDGER_FOLDER], "ahead").mkdir()
        skew = 2_000
    except FileExistsError:
        skew = 0
    edit(leases.BEAT, ("local till =", f"now = now + {skew}\nlocal till ="))
    edit(leases.FENCE, ("if deadline and", f"now = now + {skew}\nif deadline and"))


def take_over_the_living() -> None:
    """Every node counts as expired at once, whether its lease has run out or not."""
    edit(leases.FENCE, ("if deadline and tonumber(deadline) > now then return 0 end", ""))
    beat = leases.RedisLeases.beat

    def jealous(self: Any, held: Any) -> list[str]:
        beat(self, held)
        names = self._pulse._connected()("ZRANGE", self._keys.nodes, 0, -1)
        return [name.decode() for name in names if name.decode() != held.node]

    leases.RedisLeases.beat = jealous


def never_take_over() -> None:
    """What a dead node held stays with it."""

    async def ignore(self: Any, *_arguments: Any, **_options: Any) -> int:
        return 0

    leases.RedisLeases.take_over = ignore


def take_over_late() -> None:
    """Dead nodes are found, and left alone for many leases."""
    take_over = leases.RedisLeases.take_over

    async def late(self: Any, *arguments: Any, **options: Any) -> int:
        await asyncio.sleep(LATE_SECONDS)
        return await take_over(self, *arguments, **options)

    leases.RedisLeases.take_over = late


def forget_to_requeue() -> None:
    """A take-over acknowledges what it finds, and requeues nothing."""

    async def drop(self: Any, work: Any, found: list[Any], *_: Any) -> int:
        for stream, entry, _ in found:
            await self._connection.call("XACK", self._keys.stream(stream), "nodes", entry)
        return len(found)

    recovery.Recovery._move = drop


def take_over_one_entry() -> None:
    """A take-over looks at the first entry of a stream alone, and forgets the node with all the others."""
    pending = recovery.Recovery._pending

    async def first(self: Any, key: str, node: str, start: str, end: str) -> list[bytes]:
        return (await pending(self, key, node, start, end))[:1] if start == "-" else []

    recovery.Recovery._pending = first
    edit(recovery.RETIRE, ("if #pending > 0 then", "if false then"))


def forget_before_moving() -> None:
    """A dead node's consumer is deleted with whatever it has pending, and then its jobs are looked for."""
    edit(recovery.RETIRE, ("if #pending > 0 then", "if false then"))
    everything = recovery.Recovery.everything

    async def forget_first(self: Any, held: Any, node: str, end: Any) -> int:
        names = self._keys
        streams, _ = await self._read_by(node)
        keys = recovery.RETIRE.keys(names, *streams, fence=names.fence(held.node))
        await self._connection.run(recovery.RETIRE, keys, [held.epoch, node])
        return await everything(self, held, node, end)

    recovery.Recovery.everything = forget_first


def consumers_stay() -> None:
    """Nodes are forgotten, their consumers are not: every restart leaves one behind."""
    edit(recovery.RETIRE, ("redis.call('XGROUP', 'DELCONSUMER', KEYS[key], 'nodes', node)", ""))


def crashes_cost_nothing() -> None:
    """Nodes that die holding a job do not count: poison goes round for ever."""
    move = recovery.Recovery._move

    async def free(self: Any, work: Any, found: list[Any], _: Any) -> int:
        return await move(self, work, found, recovery.RELEASED)

    recovery.Recovery._move = free


def first_crash_kills() -> None:
    """The first crash is the last one, whatever the crash budget says."""

    def strict(job: Job, _budget: int, crash: Any = None) -> Job:
        crashed = job.again(crashes=job.crashes + 1)
        return crashed.finish(JobState.DEAD, 1, reason="poison") if crash else job.again()

    recovery.requeued = strict
