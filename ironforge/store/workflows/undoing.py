"""Undoing nodes of a workflow that has failed or was cancelled: one at a time, each by a job that was made with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from ironforge.errors import IncompatibleRecord
from ironforge.formats.timestamps import now_ms
from ironforge.job.record import Job, JobState, decode, encode
from ironforge.redis.connection import Command, Connection
from ironforge.redis.family_keys import results_of
from ironforge.redis.keys import Keys
from ironforge.redis.scripts import UNDO_NODE
from ironforge.settings import Settings
from ironforge.steps.waits import member_of
from ironforge.store.node_contract import Lease
from ironforge.store.steps.ends import end_record, lost_job
from ironforge.store.steps.links import ChildEnd, ShardLinks, deliver_ends
from ironforge.store.workflows.apart import submit_apart
from ironforge.store.workflows.graph_fields import undo_field
from ironforge.store.workflows.nodes import decode_held, node_id, undo_number
from ironforge.workflows.compensation import Undoing
from ironforge.workflows.states import NodeState

# As the script takes a job that goes to another shard, or nowhere.
ELSEWHERE: Final[Command] = ("", "", "", "", 0)
_HOW: Final = {
    JobState.COMPLETED: NodeState.SUCCEEDED,
    JobState.DEAD: NodeState.FAILED,
    JobState.CANCELLED: NodeState.CANCELLED,
}


def undo_member(number: int, generation: int) -> str:
    """What the results of a workflow call the end of that job."""
    return member_of("", undo_number(number), generation)


class Undone(NamedTuple):
    """What the server keeps of it: numbers of nodes in the order in which they succeeded, and that of the one that was
    undone last."""

    order: Sequence[bytes]
    last: bytes | None


async def undoing_of(keys: Keys, connection: Connection, workflow: bytes, generation: int, undone: Undone) -> Undoing:
    order, last = undone
    if last is None:
        return Undoing([*map(int, order)])
    member = undo_member(int(last), generation)
    ended = await connection.call("HGET", results_of(keys, workflow), member)
    return Undoing([*map(int, order)], int(last), _HOW[JobState(decode(ended).ended)] if ended else None)


class Undoer:
    """Of one shard, under one lease."""

    def __init__(self, settings: Settings, lease: Lease, links: ShardLinks) -> None:
        self._settings = settings
        self._lease = lease
        self._links = links
        self._keys, self._connection, _ = links.own

    async def go_on(self, workflow: bytes, generation: int, undoing: Undoing) -> str:
        """Begin with the next node, or again with the last one where that is submitted to another shard; what the
        results will call its end. One whose job is damaged cannot be undone. Raises what keeps it from being submitted
        for now."""
        number = undoing.last if undoing.next is None else undoing.next
        assert number is not None
        member = undo_member(number, generation)
        stored = await self._connection.call("HGET", self._keys.graph(workflow.hex()), undo_field(number))
        try:
            held = decode_held(stored or b"")
            job = msgspec.structs.replace(decode(held.record), ready_ms=now_ms())
        except IncompatibleRecord as error:
            if undoing.next is None or await self._begin(workflow, generation, undoing, ELSEWHERE):
                await self._tell(
                    workflow, member, lost_job(node_id(workflow, undo_number(number), generation)), str(error)
                )
            return member
        is_apart = self._links.number_of(job.id) != self._links.shard
        here: Command = (job.id, held.stream, held.mark, encode(job), held.expires_in_ms)
        if undoing.next is not None and not await self._begin(
            workflow, generation, undoing, ELSEWHERE if is_apart else here
        ):
            return member
        if is_apart and (reason := await submit_apart(self._settings, self._links, job, held.expires_in_ms)):
            await self._tell(workflow, member, job, reason)
        return member

    async def _tell(self, workflow: bytes, member: str, job: Job, reason: str) -> None:
        """Its workflow, that this job never runs."""
        ended = end_record(job.finish(JobState.CANCELLED, now_ms(), reason=reason))
        await deliver_ends(self._links.own, [ChildEnd(workflow, member, ended)])

    async def _begin(self, workflow: bytes, generation: int, undoing: Undoing, where: Command) -> bool:
        """Whether it has not been done in the meantime. `where`: its job and the place where that goes, as the script
        takes them."""
        keys, digits, number = self._keys, workflow.hex(), undoing.next
        assert number is not None
        names = UNDO_NODE.keys(
            keys,
            fence=keys.fence(self._lease.node),
            graph=keys.graph(digits),
            progress=keys.progress(digits),
            results=results_of(keys, workflow),
        )
        before = "" if undoing.last is None else undoing.last
        told = self._lease.epoch, workflow, generation, number, before, undo_member(number, generation)
        return bool(await self._connection.run(UNDO_NODE, names, [*told, *where]))
