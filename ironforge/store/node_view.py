"""A node as others see it: how well it is, what it serves, what it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

import msgspec

# Of each node; the number of its jobs is always the whole one.
JOBS_NAMED: Final = 100


class About(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a node says of itself when it joins. `since_ms` by its own clock; `app_version`: of its application;
    `limits` and `schedules` that its code defines, each with the digest of its definition; `same`: of the kinds whose
    jobs stay with a version, which one this is, as names of lines have it."""

    queues: tuple[str, ...] = ()
    concurrency: int = 0
    version: str = ""
    since_ms: int = 0
    app_version: str = ""
    limits: Mapping[str, str] = {}
    schedules: Mapping[str, str] = {}
    same: Mapping[str, str] = {}

    @property
    def shown(self) -> tuple[tuple[str, ...], int, str, int, str]:
        """What a NodeView has of it."""
        return self.queues, self.concurrency, self.version, self.since_ms, self.app_version


class RunningJob(NamedTuple):
    id: bytes
    kind: str
    queue: str
    started_ms: int


class NodeView(NamedTuple):
    """A node that holds a lease. `by_queue`: how many jobs it runs; `jobs` names the first of them.

    `queues` that it serves, how many jobs it runs at a time, its version, when it joined, by its own clock, the version
    of its application, and the kinds that it runs: empty and 0 for a node that did not say, as older versions do not.
    """

    name: str
    lease_ms_left: int
    by_queue: Mapping[str, int]
    jobs: Sequence[RunningJob] = ()
    queues: Sequence[str] = ()
    concurrency: int = 0
    version: str = ""
    since_ms: int = 0
    app_version: str = ""
    kinds: Sequence[str] = ()

    @property
    def running(self) -> int:
        return sum(self.by_queue.values())

    def within(self, queues: AbstractSet[str], kinds: Container[str]) -> NodeView:
        """Without what it serves and runs of other queues and kinds."""
        return self._replace(
            by_queue={queue: count for queue, count in self.by_queue.items() if queue in queues},
            jobs=[job for job in self.jobs if job.queue in queues],
            queues=[queue for queue in self.queues if queue in queues],
            kinds=[kind for kind in self.kinds if kind in kinds],
        )

    def together(self, other: NodeView) -> NodeView:
        """Of one node in two shards."""
        by_queue = Counter(self.by_queue)
        by_queue.update(other.by_queue)
        jobs = sorted((*self.jobs, *other.jobs), key=lambda job: job.started_ms)[:JOBS_NAMED]
        left = min(self.lease_ms_left, other.lease_ms_left)
        kinds = self.kinds or other.kinds  # only one shard has them
        return self._replace(lease_ms_left=left, by_queue=dict(by_queue), jobs=jobs, kinds=kinds)
