"""Nodes with planted bugs: `python mutants.py NAME` runs the node of the verification with that bug in it.

Each is a mistake that job queues really make. The verification is worth something only if it finds them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from actors import lease
from ironforge import node
from ironforge.store import leases, settling, work
from ironforge.store.contract import Settled
from ironforge.verify.handlers import forge


def settle_without_the_fence() -> None:
    """A node that was taken over settles all the same."""
    original = settling.Settler.__init__

    def unguarded(self: Any, *arguments: Any) -> None:
        original(self, *arguments)
        self._arm = [["GET", self._fence], ["GET", self._fence]]
        self._link._opening = self._arm
        self._link._check = None
        self._epoch = None

    async def commit(self: Any, commands: list[Any], _touched: list[str]) -> None:
        await self._link.exchange([["MULTI"], *commands, ["EXEC"]])

    settling.Settler.__init__ = unguarded
    settling.Settler._commit = commit


def settle_before_running() -> None:
    """Jobs leave the server as soon as they are fetched: whoever dies now has lost them."""
    fetch = work.RedisWork.fetch
    wait = work.RedisWork.wait

    def early(read: Callable[..., Any]) -> Callable[..., Any]:
        async def reading(self: Any, *arguments: Any) -> Any:
            deliveries = await read(self, *arguments)
            for stream, entry, _ in deliveries:
                key = self._keys.stream(stream)
                await self._link.pipeline([["XACK", key, "nodes", entry], ["XDEL", key, entry]])
            return deliveries

        return reading

    work.RedisWork.fetch = early(fetch)
    work.RedisWork.wait = early(wait)


def take_over_the_living() -> None:
    """Every node counts as expired at once, whether its lease has run out or not."""
    script = leases.FENCE.text
    text = script.replace("if deadline and tonumber(deadline) > now then return 0 end", "")
    assert text != script
    leases.FENCE.text = text
    leases.FENCE.by_hash = leases.FENCE.by_text
    beat = leases.RedisLeases.beat

    def jealous(self: Any, held: Any) -> list[str]:
        beat(self, held)
        names = self._pulse.zrange(self._keys.nodes, 0, -1)
        return [name.decode() for name in names if name.decode() != held.node]

    leases.RedisLeases.beat = jealous


def never_take_over() -> None:
    """What a dead node held stays with it."""

    async def ignore(self: Any, *_arguments: Any, **_options: Any) -> int:
        return 0

    leases.RedisLeases.take_over = ignore


def forget_to_requeue() -> None:
    """A take-over acknowledges what it finds, and puts nothing back."""

    async def drop(self: Any, work: Any, found: list[Any], *, crashed: bool) -> int:
        for stream, entry, _ in found:
            await self._link.call("XACK", self._keys.stream(stream), "nodes", entry)
        return len(found)

    leases.RedisLeases._move = drop


def heartbeat_stops() -> None:
    """Renewals are disabled: a node that is alive looks dead."""
    lease.Heart.start = lambda self: None


def settle_twice() -> None:
    """A settlement is sent again although its answer has arrived, and counted again."""
    settle = settling.Settler.settle

    async def again(self: Any, batch: list[Settled]) -> None:
        await settle(self, batch)
        await settle(self, batch)

    settling.Settler.settle = again


def same_fence_again() -> None:
    """Jobs that are put back do not get a higher fence."""
    import msgspec

    from ironforge.job import Job

    Job.again = msgspec.structs.replace


MUTANTS: dict[str, Callable[[], None]] = {
    function.__name__: function
    for function in (
        settle_without_the_fence,
        settle_before_running,
        take_over_the_living,
        never_take_over,
        forget_to_requeue,
        heartbeat_stops,
        settle_twice,
        same_fence_again,
    )
}

if __name__ == "__main__":
    MUTANTS[sys.argv[1]]()
    sys.exit(node.run_node(forge))
