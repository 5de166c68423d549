"""Cancelling what is open of workflows that have failed or were cancelled, a bounded number of jobs at once.

Of one that has failed, what has started goes on. Each node does it; what it finds half done, or done by another one as
well, it repeats: a workflow is looked at until all of its open jobs were asked.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from redis.exceptions import RedisError

from ironforge.errors import IncompatibleRecord, InvalidState, JobNotFound, StoreError
from ironforge.job.record import JobState
from ironforge.logs.setup import get_logger
from ironforge.redis.causes import said
from ironforge.redis.replies import pairs
from ironforge.redis.scripts import SEEN_TO_STOP
from ironforge.settings import Settings
from ironforge.store.located_jobs import LocatedJobs
from ironforge.store.steps.links import ShardLinks
from ironforge.store.workflows.open_nodes import OpenNode, OpenNodes

# Looked at in one sweep.
WORKFLOWS: Final = 20
JOBS_AT_ONCE: Final = 200
FAILED: Final = "the workflow has failed"
CANCELLED: Final = "the workflow was cancelled"

log = get_logger("ironforge.store")


class _Pass(NamedTuple):
    """Through the open nodes of a workflow. `at`: the number of the next one; `is_whole`: all before it were asked."""

    at: int = 0
    is_whole: bool = True


class StoppingWorkflows:
    """Of one shard."""

    def __init__(self, settings: Settings, links: ShardLinks) -> None:
        self._links = links
        self._located = [LocatedJobs(settings, link.keys, link.connection) for link in links.shards]
        self._keys, self._connection, _ = links.own
        self._open = OpenNodes(self._keys, self._connection)
        self._passes: dict[bytes, _Pass] = {}

    async def sweep(self) -> bool:
        """Whether there is more to do at once. Raises what the connection raises; the rest is done later then."""
        flat = await self._connection.call("ZRANGE", self._keys.stopping, 0, WORKFLOWS - 1, "WITHSCORES")
        members = dict(pairs(flat))
        self._passes = {member: found for member, found in self._passes.items() if member in members}
        cancelled = 0
        for member, score in members.items():
            cancelled += await self._see_to(member, score)
        if cancelled:
            log.info("nodes_of_workflows_cancelled", jobs=cancelled)
        return any(each.at for each in self._passes.values())

    async def _see_to(self, member: bytes, score: bytes) -> int:
        """Cancel some of its jobs; how many of these will never run now."""
        workflow, also_started = member[:-1], member[-1:] == b"c"
        before = self._passes.get(member, _Pass())
        page = await self._open.page(workflow, before.at, JOBS_AT_ONCE)
        cancelled, is_whole = 0, before.is_whole
        for node in page.nodes if page.head and page.head.stopped else ():
            try:
                cancelled += await self._cancel(node, also_started=also_started)
            except (JobNotFound, InvalidState):
                is_whole = is_whole and not await self._is_on_its_way(node)
            except (IncompatibleRecord, StoreError, RedisError, OSError) as error:
                log.warning("node_of_workflow_not_cancelled", job_id=node.job_id.hex(), error=said(error))
                is_whole = False
        self._passes[member] = _Pass(page.next, is_whole) if page.next else _Pass()
        if not page.next and is_whole:
            await self._connection.run(SEEN_TO_STOP, SEEN_TO_STOP.keys(self._keys), [member, score])
        return cancelled

    async def _cancel(self, node: OpenNode, *, also_started: bool) -> bool:
        located = self._located[self._links.number_of(node.job_id)]
        if also_started:
            return await located.cancel(node.job_id, CANCELLED) is JobState.CANCELLED
        return await located.cancel_unless_started(node.job_id, FAILED)

    async def _is_on_its_way(self, node: OpenNode) -> bool:
        """Whether it is about to be submitted to another shard: it counts as running before."""
        if self._links.number_of(node.job_id) == self._links.shard:
            return False
        return await self._connection.call("ZSCORE", self._keys.ready, node.item) is not None
