"""Pausing, resuming and cancelling workflows."""

from __future__ import annotations

from typing import Final, Literal

from ironforge.errors import InvalidState
from ironforge.job.record import Job, JobState, format_id
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import Keys
from ironforge.redis.scripts import STEER_WORKFLOW
from ironforge.settings import Settings
from ironforge.store.located_jobs import CHASES, elusive
from ironforge.store.retention import readable, terminal_record
from ironforge.store.workflows.contract import no_such_workflow
from ironforge.workflows.states import WorkflowStatus

_Steer = Literal["pause", "resume", "cancel"]
_DONE: Final[dict[_Steer, str]] = {"pause": "paused", "resume": "resumed", "cancel": "cancelled"}
_STATUSES: Final[dict[str, WorkflowStatus]] = {
    JobState.COMPLETED: "completed",
    JobState.CANCELLED: "cancelled",
    JobState.DEAD: "failed",
}


class RedisSteering:
    """Implements `contract.Steering` for one shard, over the caller's connection."""

    def __init__(self, settings: Settings, keys: Keys, connection: Connection) -> None:
        self._settings = settings
        self._keys = keys
        self._connection = connection

    async def pause(self, workflow_id: bytes) -> WorkflowStatus:
        return await self._steer(workflow_id, "pause")

    async def resume(self, workflow_id: bytes) -> WorkflowStatus:
        return await self._steer(workflow_id, "resume")

    async def cancel(self, workflow_id: bytes, *, unless_moved: Command = ()) -> WorkflowStatus:
        """`unless_moved`: as for `LocatedJobs.cancel`."""
        return await self._steer(workflow_id, "cancel", unless_moved)

    async def _steer(self, workflow_id: bytes, what: _Steer, unless_moved: Command = ()) -> WorkflowStatus:
        keys = STEER_WORKFLOW.keys(self._keys)
        for _ in range(CHASES):
            words: Command = [self._keys.signals, workflow_id, what, *unless_moved]
            reply = await self._connection.run(STEER_WORKFLOW, keys, words)
            if reply == b"kept":
                raise _refused(workflow_id, "running", what, "no other run takes its place")
            if reply == b"over":
                raise _refused(workflow_id, "running", what, "its nodes have all ended")
            if reply != b"gone":
                return "paused" if reply else "running"
            record = await self._record(workflow_id)
            if record is None or not record.is_workflow:
                raise no_such_workflow(workflow_id)
            if record.ended:
                raise _refused(workflow_id, _STATUSES[record.ended], what, "it has ended")
        raise elusive(workflow_id)

    async def _record(self, workflow_id: bytes) -> Job | None:
        """As it has ended, or of one that has come back meanwhile."""
        done, kept, parked = await self._connection.pipeline(
            [
                ["HGET", self._keys.bucket_of(workflow_id, "done"), workflow_id],
                ["HGET", self._keys.bucket_of(workflow_id, "kept"), workflow_id],
                ["HGET", self._keys.parked, workflow_id],
            ]
        )
        return terminal_record(done or kept, self._settings) or readable(parked)


def _refused(workflow_id: bytes, status: WorkflowStatus, what: _Steer, why: str) -> InvalidState:
    message = f"workflow {format_id(workflow_id)} is {status} and cannot be {_DONE[what]}: {why}"
    return InvalidState(message, workflow_status=status)
