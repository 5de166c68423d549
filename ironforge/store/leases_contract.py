"""The contract's part on leases: who is a node, and what becomes of those that are none any longer."""

from __future__ import annotations

from typing import Protocol

from ironforge.store.contract import Lease


class Leases(Protocol):
    async def join(self) -> Lease:
        """A new incarnation: a fresh node name and epoch; its consumers and groups exist afterwards. What the one
        before still holds is put back; only what that ran alone, when it was taken over, counts a crash."""

    def beat(self, lease: Lease) -> list[str]:
        """Blocking, for the heartbeat thread: renew, and return nodes whose lease has run out.

        Raises LeaseLost, and StoreUnavailable (no retry: the next beat is the retry).
        """

    async def take_over(self, lease: Lease, node: str, *, crashed: bool = True, seen_dead: bool = False) -> int:
        """Fence `node`, put what it held back to its streams, forget it. Returns the number of jobs moved.

        `crashed` raises their crash count, and buries the one that ran alone. `seen_dead`: somebody saw its process
        end, so that its lease need not have run out; 0 and nothing is done for a lease that has not.
        """

    def note_blocked(self, lease: Lease, job_id: bytes, seen: str) -> None:
        """Blocking, for the heartbeat thread: the handler of this job was `seen` to hold up the event loop, in words
        for its record, should the lease be lost meanwhile; "" when it does no longer. Raises StoreUnavailable."""

    async def orphan_consumers(self) -> list[str]:
        """Consumers with pending entries that are no node: a node read on after it had been taken over, then died."""

    async def leave(self, lease: Lease, *, crashed: bool = False) -> None:
        """Hand back whatever is still held, without burning an attempt, and forget this node. `crashed`: it cannot
        go on, and what it held may be why."""
