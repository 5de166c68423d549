"""Jobs that have children, for tests: a parent that runs, what it submits, and what it knows of that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ironforge.job.record import Job, JobState, decode, encode, shard_of
from ironforge.redis.family_keys import children_of, results_of
from ironforge.redis.shards import shards_of
from ironforge.steps import journal
from ironforge.steps.children import Window
from ironforge.steps.journal import Entry
from ironforge.store import Delivery, Rewrite, Submission
from ironforge.store.steps.contract import NewChildren, ParentRun
from tests.store.kit import Cluster, Node, completed, job, job_in, now_ms

STEP = "pack"


class Family:
    """A parent that runs on `node`."""

    def __init__(self, cluster: Cluster, node: Node, delivery: Delivery) -> None:
        self.cluster = cluster
        self.node = node
        self.delivery = delivery
        self.run = ParentRun(*delivery[:2], job_in(delivery))
        self.id = self.run.job.id
        shards = shards_of(cluster.settings)
        self.keys = keys = shards[shard_of(self.id, len(shards))]
        self._journal = keys.steps(self.id.hex())
        self._children, self._results = children_of(keys, self.id), results_of(keys, self.id)

    async def submit(
        self,
        count: int,
        make: Callable[[int], Submission] | None = None,
        field: str = STEP,
        window: Window | None = None,
    ) -> Entry:
        """As a handler does in this run."""
        children = NewChildren(count, make or plain, window)
        return await self.node.work.children.submit(self.run, field, children, self.entry(field))

    async def results(self, count: int = 1_000, field: str = STEP) -> list[Job]:
        entry = self.entry(field)
        assert entry is not None
        found: list[Job] = []
        while more := await self.node.work.children.results(self.run, field, entry, len(found), count):
            found += more
        return found

    def entry(self, field: str = STEP) -> Entry | None:
        stored = self.cluster.raw.hget(self._journal, field)
        return None if stored is None else journal.decode(stored)

    def open(self) -> dict[str, bytes]:
        """Id by name."""
        return {name.decode(): job_id for name, job_id in self.cluster.raw.hgetall(self._children).items()}

    def ended(self) -> dict[str, str]:
        """How children have ended, by name."""
        return {name: ended.ended for name, ended in self.records().items()}

    def records(self) -> dict[str, Job]:
        return {name.decode(): decode(record) for name, record in self.cluster.raw.hgetall(self._results).items()}

    def is_told(self) -> bool:
        return self.cluster.raw.zscore(self.keys.wake, self.id) is not None

    def finished(self, **fields: Any) -> Delivery:
        """Its delivery, with a record that says that it has recorded something."""
        stream, entry, record = self.delivery
        return stream, entry, encode(msgspec.structs.replace(decode(record), journal=True, version=2, **fields))


def plain(_: int) -> Submission:
    return Submission(job(kind="child"))


def with_options(**fields: Any) -> Callable[[int], Submission]:
    return lambda _: Submission(job(kind="child", **fields))


async def begun(cluster: Cluster, node: Node | None = None, **fields: Any) -> Family:
    """A parent that runs."""
    node = node or await cluster.node()
    await cluster.submit(job(kind="parent", **fields))
    (delivery,) = await node.work.fetch(1)
    return Family(cluster, node, delivery)


async def sweep(family: Family) -> None:
    """What each node does again and again, until nothing is left to do."""
    for part in getattr(family.node.work, "_parts", [family.node.work]):
        while await part._families.sweep():
            pass


async def die(family: Family) -> None:
    record = decode(family.finished()[2]).finish(JobState.DEAD, now_ms(), reason="no")
    await family.node.work.bury([Rewrite.of(*family.delivery[:2], record)])


async def again(family: Family) -> Family:
    """The same job in its next run."""
    (delivery,) = [each for each in await family.node.work.fetch(10) if job_in(each).id == family.id]
    return Family(family.cluster, family.node, delivery)


async def finish(family: Family, count: int, *, ending: str = "completed") -> None:
    """Some of its children end."""
    deliveries = await family.node.work.fetch(count)
    assert len(deliveries) == count
    await family.node.work.settle([completed(each, state=ending) for each in deliveries])  # type: ignore[arg-type]
