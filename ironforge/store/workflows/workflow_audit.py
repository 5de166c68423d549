"""Looking after workflows, a page at a time: what should never be found.

What ends a node says so in the same transaction, and what works that off says in one what comes of it. So a workflow
that nothing would move on is a bug or damage: somebody would wait for it for ever.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from ironforge.errors import IncompatibleRecord
from ironforge.formats.timestamps import now_ms
from ironforge.job.record import JobState, encode, format_id
from ironforge.logs.setup import get_logger
from ironforge.redis.connection import Command
from ironforge.redis.outages import retry_through_outage
from ironforge.redis.scripts import AUDIT_WORKFLOWS, RECOUNT
from ironforge.steps.waits import ParentRef
from ironforge.store.node_contract import Lease
from ironforge.store.steps.ends import lost_job
from ironforge.store.steps.family_audit import GRACE_SECONDS, LOST
from ironforge.store.steps.links import ChildEnd, ShardLinks, deliver_ends
from ironforge.store.workflows.graph_fields import DOCUMENT, decode_document
from ironforge.store.workflows.looks import Look, looks_at
from ironforge.store.workflows.open_nodes import read_progress
from ironforge.workflows.graph import graph_of
from ironforge.workflows.program import encode_progress
from ironforge.workflows.progress import Progress
from ironforge.workflows.states import NodeState

PAGE: Final = 50
# Of each, in each state.
NODES: Final = 20
# What has not been nowhere for so long has gone on.
KNOWN_SECONDS: Final = 10 * GRACE_SECONDS
# As the script says them.
_JOB_IS_NOWHERE: Final = 2
_TO_RECOUNT: Final = 3

log = get_logger("ironforge.store")


class WorkflowAudit:
    """Under one lease."""

    def __init__(self, lease: Lease, links: ShardLinks) -> None:
        self._links = links
        self._lease = lease
        self._keys, self._connection, _ = links.own
        self._fence = self._keys.fence(lease.node)
        self._at = 0
        self._nowhere_since: dict[Look, float] = {}

    async def page(self) -> int:
        """How many of some workflows, or of their nodes, were stranded: they go on now."""
        return await retry_through_outage(self._look)

    async def _look(self) -> int:
        ids = await self._connection.call("ZRANGE", self._keys.waiting("workflow"), self._at, self._at + PAGE - 1)
        if not self._at:
            self._forget()
        self._at = self._at + PAGE if len(ids) == PAGE else 0
        stranded = await self._without_records(ids)
        looks = await looks_at(self._connection, self._keys, ids, NODES)
        looks = [look for look in looks if not self._is_apart(look)] + await self._nowhere(looks)
        if not looks:
            return stranded
        keys = AUDIT_WORKFLOWS.keys(self._keys, fence=self._fence, waiting=self._keys.waiting("workflow"))
        words = [word for look in looks for word in look.words]
        verdicts = await self._connection.run(AUDIT_WORKFLOWS, keys, [self._lease.epoch, *words])
        for look, verdict in zip(looks, verdicts, strict=True):
            if verdict:
                log.error("workflow_stranded", workflow_id=format_id(look.workflow), what=str(look))
                await self._mend(look, verdict)
                stranded += 1
        return stranded

    async def _without_records(self, ids: Sequence[bytes]) -> int:
        """Those that lost the record which stands for them: it is made anew where it is found out how far they are."""
        asked: list[Command] = [["HEXISTS", key, one] for key in (self._keys.index, self._keys.parked) for one in ids]
        there = await self._connection.pipeline(asked) if asked else []
        known, parked = there[: len(ids)], there[len(ids) :]
        lost = [one for one, is_known, is_there in zip(ids, known, parked, strict=True) if is_known and not is_there]
        for workflow in lost:
            log.error(
                "workflow_stranded", workflow_id=format_id(workflow), what="the record that stands for it was lost"
            )
            await self._find_out(workflow)
        return len(lost)

    async def _find_out(self, workflow: bytes) -> None:
        await self._connection.call("ZADD", self._keys.finishing, now_ms(), workflow)

    async def _mend(self, look: Look, verdict: int) -> None:
        """What the script leaves to be done."""
        if verdict == _JOB_IS_NOWHERE:
            await deliver_ends(self._links.own, [ChildEnd(look.workflow, look.member, _lost(look))])
        elif verdict == _TO_RECOUNT:
            await self._recount(look.workflow)

    async def _recount(self, workflow: bytes) -> None:
        """Cells by what the graph says of the states that are there."""
        name = workflow.hex()
        document, stored = await self._connection.pipeline(
            [["HGET", self._keys.graph(name), DOCUMENT], ["GET", self._keys.progress(name)]]
        )
        found = read_progress(stored)
        if document is None or found is None:
            await self._find_out(workflow)
            return
        head, states = found
        try:
            graph = graph_of(decode_document(document))
        except IncompatibleRecord as error:
            log.warning("workflow_not_read", workflow_id=format_id(workflow), error=str(error))
            return
        if head.stopped:
            unstarted = NodeState.PENDING, NodeState.READY
            states = [NodeState.CANCELLED if state in unstarted else state for state in states]
        progress = Progress(graph, states, stopped=head.stopped, paused=head.paused)
        keys = RECOUNT.keys(self._keys, fence=self._fence)
        becomes = encode_progress(progress, head.generation)
        await self._connection.run(RECOUNT, keys, [self._lease.epoch, workflow, stored, becomes, *progress.ready])

    # ------------------------------------------------------------------- jobs in other shards

    def _is_apart(self, look: Look) -> bool:
        return bool(look.job_id) and self._links.number_of(look.job_id) != self._links.shard

    async def _nowhere(self, looks: Sequence[Look]) -> list[Look]:
        """Those of nodes whose jobs have been nowhere for long: one may be on its way there, or its end on its way from
        there."""
        gone = []
        for look in looks:
            if not self._is_apart(look):
                continue
            keys, connection, _ = self._links.shards[self._links.number_of(look.job_id)]
            ask: list[Command] = [["HEXISTS", keys.index, look.job_id], ["XLEN", keys.quarantine]]
            if any(await connection.pipeline(ask)):
                self._nowhere_since.pop(look, None)
            elif time.monotonic() - self._nowhere_since.setdefault(look, time.monotonic()) >= GRACE_SECONDS:
                gone.append(look)
        return gone

    def _forget(self) -> None:
        """What was looked at long ago: it has gone on."""
        long_ago = time.monotonic() - KNOWN_SECONDS
        self._nowhere_since = {look: since for look, since in self._nowhere_since.items() if since > long_ago}


def _lost(look: Look) -> bytes:
    """The record that a workflow gets of a node whose job is nowhere."""
    parent = ParentRef(look.workflow, "", look.number, look.generation)
    return encode(lost_job(look.job_id, parent).finish(JobState.CANCELLED, now_ms(), reason=LOST))
