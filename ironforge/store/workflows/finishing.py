"""Ending workflows whose nodes have all ended. Where one has failed, or was cancelled, what undoes the nodes that
succeeded comes first, one at a time; then its record, and in the same script the job that is told of it.

Each node does it. What a script is asked for it does only if the workflow is still as it was seen, so whatever is
repeated, or done by two, happens once.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
from redis.exceptions import ResponseError

from ironforge.errors import IncompatibleRecord, StoreError
from ironforge.formats.timestamps import now_ms
from ironforge.job.record import Job, JobState, decode, encode, format_id
from ironforge.logs.setup import get_logger
from ironforge.redis.causes import said
from ironforge.redis.connection import Command
from ironforge.redis.outages import is_wrong_type
from ironforge.redis.replies import pairs
from ironforge.redis.scripts import FINISH_AND_TELL, FINISH_WORKFLOWS, HOLD_WORKFLOWS
from ironforge.settings import Settings
from ironforge.store.node_contract import Lease
from ironforge.store.retention import RetentionBuckets, milliseconds, score_ms
from ironforge.store.steps.links import ShardLinks
from ironforge.store.workflows.again.rebuilding import Rebuilder
from ironforge.store.workflows.apart import submit_apart
from ironforge.store.workflows.coordinator import summary_of
from ironforge.store.workflows.graph_fields import CALLBACKS, DOCUMENT, LOST, UNDONE_LAST, decode_document
from ironforge.store.workflows.nodes import decode_held
from ironforge.store.workflows.open_nodes import read_progress
from ironforge.store.workflows.undoing import Undoer, Undone, undoing_of
from ironforge.workflows.compensation import Compensation, Undoing
from ironforge.workflows.endings import callback_payload, reason_of
from ironforge.workflows.graph import Graph
from ironforge.workflows.program import Head, decode_head, decode_progress
from ironforge.workflows.progress import Outcome, Progress

# Looked at in one sweep.
MOST: Final = 200
# When one is looked at again of which something cannot be read, or be done for now.
LATER_MS: Final = 5_000

_STATES: Final[dict[Outcome, JobState]] = {
    "completed": JobState.COMPLETED,
    "failed": JobState.DEAD,
    "cancelled": JobState.CANCELLED,
}
_NO_CALLBACK: Final[Command] = ("", "", "", "", 0)

# What keeps one from ending: it cannot be read, or what it needs cannot be had now.
_UNREADY: Final = (IncompatibleRecord, StoreError, ResponseError, struct.error, ValueError, LookupError)

log = get_logger("ironforge.store")


class _Over(NamedTuple):
    """A workflow whose nodes have all ended. `progress`: as it is stored."""

    job: Job
    head: Head
    progress: bytes

    @property
    def outcome(self) -> Outcome:
        return self.head.stopped or ("failed" if self.head.failed else "completed")

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing to say of its end, nor anybody to whom."""
        return self.outcome == "completed" and not summary_of(self.job).on_success


class _Callback(NamedTuple):
    """The job that is told of an end."""

    job: Job
    expires_in_ms: int


class _End(NamedTuple):
    over: _Over
    reason: str = ""
    callback: _Callback | None = None


class _Held(NamedTuple):
    """One that waits for something else. `undoing`: what its results will call the end of what undoes a node now."""

    workflow: bytes
    generation: int = 0
    undoing: str = ""


class Finishing:
    """Of one shard, under one lease."""

    def __init__(self, settings: Settings, lease: Lease, links: ShardLinks) -> None:
        self._settings = settings
        self._links = links
        self._keys, self._connection, _ = links.own
        self._buckets = RetentionBuckets(self._keys, settings)
        self._lease = lease
        self._fence = self._keys.fence(lease.node)
        self._undoer = Undoer(settings, lease, links)
        self._rebuilder = Rebuilder(lease, links)
        # By the server's clock, as what scripts put here.
        self._at_ms = 0

    async def sweep(self) -> bool:
        """Whether there is more to do at once. Raises what the connection raises; the rest is done later then."""
        due: list[Command] = [["TIME"], ["ZRANGE", self._keys.finishing, 0, MOST - 1, "WITHSCORES"]]
        time, flat = await self._connection.pipeline(due)
        self._at_ms = milliseconds(time)
        # Further than anything is put off: by a clock that was ahead.
        apart = range(self._at_ms + 1, self._at_ms + LATER_MS + 1)
        ids = [workflow for workflow, score in pairs(flat) if score_ms(score) not in apart]
        if not ids:
            return False
        ask: list[Command] = []
        for workflow in ids:
            ask += (["GET", self._keys.progress(workflow.hex())], ["HGET", self._keys.parked, workflow])
        replies = await self._connection.pipeline(ask, tolerate=("WRONGTYPE",))
        found: list[_End | _Held] = []
        for workflow, progress, record in zip(ids, replies[::2], replies[1::2], strict=True):
            try:
                found.append(await self._next(workflow, progress, record))
            except _UNREADY as error:
                await self._put_off(workflow, error)
        await self._end([each for each in found if isinstance(each, _End)])
        await self._hold([each for each in found if isinstance(each, _Held)])
        return len(ids) == MOST

    async def _put_off(self, workflow: bytes, error: Exception) -> None:
        """Others go on meanwhile."""
        log.warning("workflow_not_ended", workflow_id=format_id(workflow), error=said(error))
        await self._connection.call("ZADD", self._keys.finishing, "XX", self._at_ms + LATER_MS, workflow)

    async def _next(self, workflow: bytes, progress: Any, record: Any) -> _End | _Held:
        """What is to become of it now. Raises what keeps it from going on."""
        for reply in (progress, record):
            if isinstance(reply, Exception):
                raise reply
        if record is None or read_progress(progress) is None:
            await self._rebuilder.rebuild(workflow, record, progress)
            return _Held(workflow)
        over = _Over(decode(record), decode_head(progress), progress)
        if over.head.left:
            return _Held(workflow, over.head.generation)
        return _End(over) if over.is_plain else await self._closer(over)

    async def _closer(self, over: _Over) -> _End | _Held:
        workflow, generation = over.job.id, over.head.generation
        undoing = Undoing(()) if over.outcome == "completed" else await self._undoing(workflow, generation)
        if not undoing.is_open:
            return await self._as_it_ends(over, undoing)
        if over.head.paused:
            return _Held(workflow, generation)
        member = await self._undoer.go_on(workflow, generation, undoing)
        return _Held(workflow, generation, member)

    async def _undoing(self, workflow: bytes, generation: int) -> Undoing:
        digits = workflow.hex()
        ask: list[Command] = [
            ["LRANGE", self._keys.order(digits), 0, -1],
            ["HGET", self._keys.graph(digits), UNDONE_LAST],
        ]
        undone = Undone(*await self._connection.pipeline(ask))
        return await undoing_of(self._keys, self._connection, workflow, generation, undone)

    async def _as_it_ends(self, over: _Over, undoing: Undoing) -> _End:
        """With its reason, and the job that is told of it. Where what it is made of is damaged it ends without."""
        workflow, outcome = over.job.id, over.outcome
        summary = summary_of(over.job)
        kind = {"completed": summary.on_success, "failed": summary.on_failure}.get(outcome)
        fields = [DOCUMENT, LOST, *([CALLBACKS[outcome]] if kind else ())]
        stored = await self._connection.call("HMGET", self._keys.graph(workflow.hex()), *fields)
        try:
            progress = _progress_of(over, undoing, stored[0])
            callback = _callback_of(over, progress, stored[2]) if kind else None
        except IncompatibleRecord as error:
            log.warning("workflow_ends_damaged", workflow_id=over.job.text_id, error=str(error))
            return _End(over, str(error))
        if callback is not None and self._links.number_of(callback.job.id) != self._links.shard:
            # Nothing but this end is left to it, so it may be told before.
            await submit_apart(self._settings, self._links, callback.job, callback.expires_in_ms)
            callback = None
        lost = (stored[1] or b"").decode(errors="replace")
        return _End(over, "; ".join(filter(None, (lost, reason_of(progress)))), callback)

    async def _end(self, ends: Sequence[_End]) -> None:
        """All at once, or each for itself where that is refused."""
        if not ends:
            return
        words = [word for end in ends for word in self._words(end)]
        script = FINISH_AND_TELL if any(end.callback for end in ends) else FINISH_WORKFLOWS
        names = script.keys(self._keys, fence=self._fence, waiting=self._keys.waiting("workflow"))
        try:
            await self._connection.run(script, names, [self._lease.epoch, *words])
        except ResponseError as error:
            if not is_wrong_type(error):
                raise
            if not ends[1:]:
                await self._put_off(ends[0].over.job.id, error)
            for end in ends[1:] and ends:
                await self._end([end])

    def _words(self, end: _End) -> list[str | bytes | int]:
        """As the script takes them."""
        over, callback = end.over, end.callback
        job = over.job.finish(_STATES[over.outcome], now_ms(), reason=end.reason)
        place = self._buckets.place(job.id, self._buckets.retention_ms(job))
        is_dead = over.outcome == "failed"
        bucket = "" if is_dead else place.bucket.removeprefix(self._keys.prefix)
        told = _NO_CALLBACK
        if callback is not None:
            made = callback.job
            told = (made.id, made.stream, made.mark, encode(made), callback.expires_in_ms)
        words = job.id, over.head.generation, encode(job), bucket, place.seconds, place.expiry_ms
        return [*words, *told]

    async def _hold(self, held: Sequence[_Held]) -> None:
        names = HOLD_WORKFLOWS.keys(self._keys, fence=self._fence)
        words = [word for each in held for word in each]
        if words:
            await self._connection.run(HOLD_WORKFLOWS, names, [self._lease.epoch, *words])


def _progress_of(over: _Over, undoing: Undoing, document: bytes | None) -> Progress:
    """Raises IncompatibleRecord."""
    nodes = decode_document(document).nodes
    _, states = decode_progress(over.progress)
    compensation = Compensation(nodes, undoing.order, undoing.undone)
    return Progress(Graph(nodes), states, compensation=compensation, stopped=over.head.stopped)


def _callback_of(over: _Over, progress: Progress, stored: bytes | None) -> _Callback:
    """The job as it was made with the workflow, with what it is told. Raises IncompatibleRecord."""
    held = decode_held(stored or b"")
    payload = callback_payload(over.job.text_id, over.job.kind, over.outcome, progress.graph.nodes, progress.states)
    job = msgspec.structs.replace(decode(held.record), payload=payload, ready_ms=now_ms())
    return _Callback(job, held.expires_in_ms)
