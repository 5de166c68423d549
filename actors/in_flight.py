"""Which worker holds which jobs: the dispatcher's ledger, plain data without I/O.

A worker ends its jobs in the order in which it got them and requeues from the end, so counts are enough to name
them, and the ledger needs no look-up by id.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from ironforge.store import Delivery


class InFlight:
    """Workers are numbered from 0. `count` is the number of jobs held by all of them."""

    def __init__(self, workers: int) -> None:
        self._held: list[deque[Delivery]] = [deque() for _ in range(workers)]
        self._incarnations = [-1] * workers
        self._free: list[int] = []
        self.count = 0

    @property
    def free(self) -> int:
        """How many workers hold nothing and have said that they are there."""
        return len(self._free)

    def arrived(self, worker: int, incarnation: int) -> list[Delivery]:
        """A worker says that it is new: it is free; what its earlier incarnation held is the answer, and lost."""
        if incarnation <= self._incarnations[worker]:
            return []
        self._incarnations[worker] = incarnation
        return self.ended(worker, len(self._held[worker]))

    def claim_free(self) -> int:
        """The worker that became free last: its memory is the warmest."""
        return self._free.pop()

    def give(self, worker: int, jobs: Sequence[Delivery]) -> None:
        self._held[worker].extend(jobs)
        self.count += len(jobs)

    def ended(self, worker: int, count: int) -> list[Delivery]:
        """The first `count` jobs of a worker are over; a worker that holds nothing more is free."""
        held = self._held[worker]
        jobs = [held.popleft() for _ in range(count)]
        self._taken(worker, count)
        return jobs

    def requeued(self, worker: int, count: int) -> list[Delivery]:
        """The last `count` jobs of a worker, in their order."""
        held = self._held[worker]
        jobs = [held.pop() for _ in range(count)]
        self._taken(worker, count)
        return jobs[::-1]

    def _taken(self, worker: int, count: int) -> None:
        self.count -= count
        if not self._held[worker] and worker not in self._free:
            self._free.append(worker)

    def busy(self) -> Iterator[int]:
        return (worker for worker, held in enumerate(self._held) if held)

    def all(self) -> list[Delivery]:
        return [delivery for held in self._held for delivery in held]
