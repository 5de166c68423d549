"""The nodes of a workflow that are open, by what the server keeps of it: their jobs are there, and have not ended."""

from __future__ import annotations

import struct
from typing import NamedTuple

from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import Keys
from ironforge.store.workflows.graph_fields import TAILS, moved_field
from ironforge.store.workflows.nodes import node_id_by
from ironforge.workflows.program import HEAD, Head, decode_progress
from ironforge.workflows.states import NodeState


class OpenNode(NamedTuple):
    """`job_id`: under which its job is stored."""

    workflow: bytes
    number: int
    generation: int
    job_id: bytes

    @property
    def item(self) -> bytes:
        """What stands for it in `ready`."""
        return b"%b%d.%d" % (self.workflow, self.number, self.generation)


class OpenPage(NamedTuple):
    """Some of them, and the number from which on there may be others; 0: there are none. `head`: of their workflow,
    None where there is none, or what is there cannot be read."""

    head: Head | None
    nodes: list[OpenNode]
    next: int


class OpenNodes:
    """Of one shard."""

    def __init__(self, keys: Keys, connection: Connection) -> None:
        self._keys = keys
        self._connection = connection

    async def page(self, workflow: bytes, at: int, most: int) -> OpenPage:
        """From the node with this number on. Raises what the connection raises."""
        read: Command = ["GET", self._keys.progress(workflow.hex())]
        (stored,) = await self._connection.pipeline([read], tolerate=("WRONGTYPE",))
        found = read_progress(stored)
        if found is None:
            return OpenPage(None, [], 0)
        head, states = found
        numbers = [number for number, state in enumerate(states) if number >= at and state is NodeState.RUNNING]
        chosen = numbers[:most]
        if not chosen:
            return OpenPage(head, [], 0)
        names = (TAILS, *map(moved_field, chosen))
        read = ["HMGET", self._keys.graph(workflow.hex()), *names]
        (replies,) = await self._connection.pipeline([read], tolerate=("WRONGTYPE",))
        tails, *others = replies if isinstance(replies, list) else [None] * len(names)
        nodes = []
        for number, other in zip(chosen, others, strict=True):
            job_id = other or node_id_by(tails, workflow, number, head.generation)
            nodes.append(OpenNode(workflow, number, head.generation, job_id))
        return OpenPage(head, nodes, numbers[most] if len(numbers) > most else 0)


def read_head(stored: object) -> Head | None:
    """None for what is none: missing, or damaged."""
    found = read_progress(stored[: HEAD.size]) if isinstance(stored, bytes) else None
    return found and found[0]


def read_progress(stored: object) -> tuple[Head, list[NodeState]] | None:
    """None for what is none: missing, or damaged."""
    if not isinstance(stored, bytes):
        return None
    try:
        return decode_progress(stored)
    except (struct.error, LookupError):
        return None
