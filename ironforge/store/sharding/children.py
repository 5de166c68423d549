"""Children of jobs that run in several shards or namespaces: each is up to the part that its parent came from."""

from __future__ import annotations

from collections.abc import Sequence

from ironforge.job.record import Job
from ironforge.steps.journal import Entry
from ironforge.store.steps.children import RedisChildren
from ironforge.store.steps.contract import NewChildren, ParentRun


class ShardedChildren:
    """Implements `contract.Children`."""

    def __init__(self, parts: Sequence[RedisChildren]) -> None:
        self._parts = parts

    async def submit(self, run: ParentRun, field: str, children: NewChildren, entry: Entry | None) -> Entry:
        part, own = self._of(run)
        return await part.submit(own, field, children, entry)

    async def results(self, run: ParentRun, field: str, entry: Entry, first: int, most: int) -> list[Job]:
        part, own = self._of(run)
        return await part.results(own, field, entry, first, most)

    def _of(self, run: ParentRun) -> tuple[RedisChildren, ParentRun]:
        part, _, stream = run.stream.partition("/")
        return self._parts[int(part)], run._replace(stream=stream)
