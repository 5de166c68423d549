"""The jobs that workflows which go on have yet to submit, as they were made with these."""

from __future__ import annotations

import re
import struct
from collections.abc import AsyncIterator
from typing import Final

from ironforge.errors import IncompatibleRecord
from ironforge.job.record import Job
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import Keys
from ironforge.store.workflows.nodes import job_in
from ironforge.store.workflows.open_nodes import read_progress
from ironforge.workflows.states import NodeState

_WORKFLOWS_AT_ONCE: Final = 50
# Jobs of one read.
_AT_ONCE: Final = 200
# The fields of the graph with what undoes a node, and what is told of an end, as `graph_fields` names them.
_at_the_end: Final = re.compile(rb"u\d+|os|of")
_TO_COME: Final = (NodeState.PENDING, NodeState.READY)


class JobsToCome:
    """In one shard, of so many workflows and nodes at most. `workflows`, `nodes`: how many were found; `is_cut`: there
    are more."""

    def __init__(self, keys: Keys, connection: Connection, most_workflows: int, most_nodes: int) -> None:
        self._keys = keys
        self._connection = connection
        self._most_workflows = most_workflows
        self._most_nodes = most_nodes
        self.workflows = 0
        self.nodes = 0
        self.is_cut = False

    async def each(self) -> AsyncIterator[tuple[bytes, Job]]:
        """The workflow, and the job: of a node, of what undoes one that has not been undone, or of what is told of its
        end. What cannot be read is left out. Raises what the connection raises."""
        keys, most = self._keys, self._most_workflows
        ids = await self._connection.call("ZRANGE", keys.waiting("workflow"), 0, most)
        self.is_cut = len(ids) > most
        for start in range(0, min(len(ids), most), _WORKFLOWS_AT_ONCE):
            part = ids[start : min(start + _WORKFLOWS_AT_ONCE, most)]
            ask: list[Command] = [["GET", keys.progress(workflow.hex())] for workflow in part]
            for workflow, progress in zip(part, await self._connection.pipeline(ask), strict=True):
                self.workflows += 1
                async for job in self._of(workflow, progress):
                    yield workflow, job

    async def _of(self, workflow: bytes, progress: object) -> AsyncIterator[Job]:
        found = read_progress(progress)
        states = () if found is None else found[1]
        numbers = [number for number, state in enumerate(states) if state in _TO_COME]
        room = max(0, self._most_nodes - self.nodes)
        self.is_cut |= len(numbers) > room
        self.nodes += len(numbers[:room])
        names = [f"{letter}{number}" for number in numbers[:room] for letter in "rR"]
        fields = await self._connection.call("HKEYS", self._keys.graph(workflow.hex())) if room else []
        names += sorted(name.decode() for name in fields if _at_the_end.fullmatch(name))
        for start in range(0, len(names), _AT_ONCE):
            part = names[start : start + _AT_ONCE]
            values = await self._connection.call("HMGET", self._keys.graph(workflow.hex()), *part)
            for name, value in zip(part, values, strict=True):
                if value and (job := _job(name, value)) is not None:
                    yield job


def _job(name: str, value: bytes) -> Job | None:
    try:
        return job_in(name, value).job
    except (IncompatibleRecord, struct.error):
        return None
