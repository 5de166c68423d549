"""Forking a workflow that has ended: another one with the same document, but perhaps for a payload, and with the
results of the nodes that need not run again. These are copied first; the other one goes its own way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ironforge.redis.connection import Command
from ironforge.redis.family_keys import results_of
from ironforge.redis.scripts import COPY_RESULTS
from ironforge.settings import Settings
from ironforge.steps.waits import member_of
from ironforge.store.contract import Most
from ironforge.store.producer.routes import answer_key, digest_of
from ironforge.store.steps.links import ShardLink
from ironforge.store.workflows.again.ended import EndedWorkflow, read_ended
from ironforge.store.workflows.contract import Fork, Prepare, WorkflowSubmission, no_such_workflow
from ironforge.store.workflows.graph_fields import fields_of
from ironforge.store.workflows.staging import BYTES_AT_ONCE, STAGED_SECONDS
from ironforge.store.workflows.submission import Known, Start, WorkflowCommit
from ironforge.workflows.again import edited, forked
from ironforge.workflows.program import encode_progress

# Copied in one script, of BYTES_AT_ONCE at most, unless one alone has more.
AT_ONCE: Final = 500


class Forking:
    """In one shard of so many."""

    def __init__(self, settings: Settings, link: ShardLink, commit: WorkflowCommit, shards: int) -> None:
        self._settings = settings
        self._link = link
        self._keys, self._connection, _ = link
        self._commit = commit
        self._shards = shards

    async def fork(self, workflow: bytes, fork: Fork, prepare: Prepare, most: Most) -> Known:
        """Raises WorkflowNotFound, InvalidState, InvalidJob, IdempotencyConflict, QuotaExceeded, StoreUnavailable."""
        if known := await self._known(fork):
            return known
        seen = await read_ended(self._settings, self._keys, self._connection, workflow, "forked")
        if fork.node is None:
            document, graph = seen.document, seen.progress.graph
        else:
            document, graph = edited(seen.document, fork.node, fork.payload)
        progress = forked(seen.progress, fork.node, graph)
        one = WorkflowSubmission(fork.id, prepare(document, graph), fork.idempotency_key, fork.fingerprint)
        fields = fields_of(one, self._shards, progress)
        kept = seen.members([number for number, state in enumerate(progress.states) if state.has_ended])
        await self._copy(seen, fork.id, kept)
        return await self._commit.submit(one, most, Start(fields, encode_progress(progress), len(kept)))

    async def _known(self, fork: Fork) -> Known | None:
        """Of one that was submitted before: what it was forked from may have gone on since."""
        ask: list[Command] = [["EXISTS", self._keys.progress(fork.id.hex())]]
        if fork.idempotency_key is not None:
            ask.append(["GET", answer_key(self._keys, fork.idempotency_key)])
        is_there, *held = await self._connection.pipeline(ask)
        if held and held[0] and held[0][16:] == b"w" + digest_of(fork.fingerprint):
            return Known(held[0][:16], is_new=False)
        return Known(fork.id, is_new=False) if is_there else None

    async def _copy(self, seen: EndedWorkflow, fork: bytes, kept: Mapping[int, str]) -> None:
        keys, source = self._keys, results_of(self._keys, seen.job.id)
        names = COPY_RESULTS.keys(
            keys, source=source, target=results_of(keys, fork), progress=keys.progress(fork.hex())
        )
        left = [*kept.items()]
        while left:
            part = left[:AT_ONCE]
            sizes = await self._connection.pipeline([["HSTRLEN", source, member] for _, member in part])
            count, size = 0, 0
            while count < len(part) and (not count or size + sizes[count] <= BYTES_AT_ONCE):
                size += sizes[count]
                count += 1
            words = [word for number, member in part[:count] for word in (member, member_of("", number, 0))]
            if await self._connection.run(COPY_RESULTS, names, [STAGED_SECONDS, *words]) < 0:
                raise no_such_workflow(seen.job.id)
            left = left[count:]
