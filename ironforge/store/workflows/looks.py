"""What is looked at of workflows that go on, to find those that nothing would move on.

A node that runs has a job somewhere, or has told of its end; one that may start is about to; and when all have ended
the workflow is about to as well. Whether it is so, a script says of all at one moment.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ironforge.errors import IncompatibleRecord
from ironforge.job.record import format_id
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import Keys
from ironforge.steps.waits import member_of
from ironforge.store.workflows.graph_fields import TAILS, UNDONE_LAST, moved_field, undo_field
from ironforge.store.workflows.nodes import decode_held, node_id_by, undo_number
from ironforge.store.workflows.open_nodes import read_head
from ironforge.workflows.program import CELL, HEAD, LETTERS
from ironforge.workflows.states import NodeState

# Of a workflow as such.
WHOLE: Final = -1
_OVER: Final = "o"
_NOTHING_CAN_HAPPEN: Final = "n"
_UNREADABLE: Final = "!"
_PENDING, _READY, _RUNNING = (LETTERS[state][0] for state in (NodeState.PENDING, NodeState.READY, NodeState.RUNNING))


class Look(NamedTuple):
    """At a node of this number, or at the `WHOLE` workflow. `letter`: what was seen of it, as `stranded.lua` has it.
    `job_id`: of the job of a node that runs, or of what undoes one."""

    workflow: bytes
    number: int
    generation: int
    letter: str
    job_id: bytes = b""

    @property
    def member(self) -> str:
        is_one = self.job_id or (self.letter == _OVER and self.number != WHOLE)
        return member_of("", self.number, self.generation) if is_one else ""

    @property
    def is_unread(self) -> bool:
        """Whether how far the workflow is was lost."""
        return self.letter == _UNREADABLE

    @property
    def words(self) -> Command:
        """As scripts take it."""
        number = WHOLE if self.letter in (_OVER, _NOTHING_CAN_HAPPEN, _UNREADABLE) else self.number
        return [self.workflow, self.workflow.hex(), number, self.generation, self.letter, self.member, self.job_id]

    def __str__(self) -> str:
        workflow = f"workflow {format_id(self.workflow)}"
        match self.letter:
            case "r" | "y" | "p":
                what = {"r": "whose job is nowhere", "y": "which may start", "p": "which is to be skipped"}[self.letter]
                return f"nothing moves on node {self.number} of {workflow}, {what}"
            case "!":
                return f"how far {workflow} is was lost"
            case "o":
                return f"all nodes of {workflow} have ended, and nothing ends it"
        return f"no node of {workflow} can start or end"


async def looks_at(connection: Connection, keys: Keys, workflows: Sequence[bytes], sample: int) -> list[Look]:
    """What is to be looked at of these, at most so many nodes of each in a state. Raises what the connection raises."""
    asked: list[Command] = [["GET", keys.progress(workflow.hex())] for workflow in workflows]
    found: list[Look] = []
    stored = await connection.pipeline(asked, tolerate=("WRONGTYPE",)) if asked else []
    for workflow, progress in zip(workflows, stored, strict=True):
        found += _looks(workflow, progress, sample)
    return await _with_jobs(connection, keys, found)


def _looks(workflow: bytes, progress: object, sample: int) -> Iterator[Look]:
    head = read_head(progress)
    if head is None or not isinstance(progress, bytes) or (len(progress) - HEAD.size) % CELL.size:
        yield Look(workflow, WHOLE, 0, _UNREADABLE)
        return
    letters = progress[HEAD.size :: CELL.size]
    running, ready, skipped = _numbers(letters, _RUNNING), _numbers(letters, _READY), _to_skip(progress, letters)
    left = sum(map(letters.count, (_PENDING, _READY, _RUNNING)))
    if left != head.left or (left and not running and not ready and not skipped):
        yield Look(workflow, WHOLE, head.generation, _NOTHING_CAN_HAPPEN)
    elif not left:
        yield Look(workflow, WHOLE, head.generation, _OVER)
    for letter, numbers in (("r", running), ("y", ready), ("p", skipped)):
        for number in numbers if len(numbers) <= sample else random.sample(numbers, sample):
            yield Look(workflow, number, head.generation, letter)


def _numbers(letters: bytes, letter: int) -> list[int]:
    return [number for number, each in enumerate(letters) if each == letter] if letter in letters else []


def _to_skip(progress: bytes, letters: bytes) -> list[int]:
    """Those that wait for nothing any more, and may not start."""
    if _PENDING not in letters:
        return []
    high, low = (progress[HEAD.size + at :: CELL.size] for at in (1, 2))
    return [number for number, each in enumerate(letters) if each == _PENDING and not (high[number] or low[number])]


async def _with_jobs(connection: Connection, keys: Keys, looks: Sequence[Look]) -> list[Look]:
    """With the ids of jobs, of nodes that run or are being undone."""
    by_workflow: defaultdict[bytes, list[Look]] = defaultdict(list)
    for look in looks:
        by_workflow[look.workflow].append(look)
    fields = {
        workflow: [TAILS, UNDONE_LAST, *(moved_field(look.number) for look in group if look.letter == "r")]
        for workflow, group in by_workflow.items()
    }
    asked: list[Command] = [["HMGET", keys.graph(workflow.hex()), *names] for workflow, names in fields.items()]
    replies = await connection.pipeline(asked, tolerate=("WRONGTYPE",)) if asked else []
    found: list[Look] = []
    for (workflow, names), reply in zip(fields.items(), replies, strict=True):
        values = dict(zip(names, reply if isinstance(reply, list) else [None] * len(names), strict=True))
        for look in by_workflow[workflow]:
            if look.letter == "r":
                own = node_id_by(values[TAILS], workflow, look.number, look.generation)
                found.append(look._replace(job_id=values[moved_field(look.number)] or own))
            elif look.letter == _OVER and (last := values[UNDONE_LAST]) is not None:
                found.append(await _undoing(connection, keys, look, int(last)))
            else:
                found.append(look)
    return found


async def _undoing(connection: Connection, keys: Keys, look: Look, number: int) -> Look:
    value = await connection.call("HGET", keys.graph(look.workflow.hex()), undo_field(number))
    look = look._replace(number=undo_number(number))
    try:
        return look._replace(job_id=decode_held(value or b"").id)
    except IncompatibleRecord:
        return look
