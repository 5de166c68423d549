"""A graph as the server works through it: of each node what its end means for others, and for all of them, in a few
bytes each, how far they are.

A node's *cell* has 4 bytes: the letter of its state, how many of its needs have not ended (2 bytes), and what the ends
of these mean for it: the bits of `Mark`. So the end of a node changes its own cell and those of its dependants, none of
the others is looked at, and what conditions mean is known here alone. In front of the cells stands a *head*.
"""

from __future__ import annotations

import enum
import functools
import struct
from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple, get_args

from ironforge.workflows.definition import EdgeWhen, OnFailure, When
from ironforge.workflows.graph import Graph
from ironforge.workflows.progress import Progress
from ironforge.workflows.states import FAILURES, NodeState, is_as_good, meets

CELL: Final = struct.Struct(">cHB")
LETTERS: Final = dict(zip(NodeState, (b"p", b"y", b"r", b"s", b"f", b"c", b"k"), strict=True))
_STATES: Final = {letter: state for state, letter in LETTERS.items()}
# By how many bits is shifted what stands behind the number of a dependant: the marks that an end makes there, by how it
# was; and for whether it starts when all its needs have ended, the marks of which none may be there, and those that
# have to.
SHIFTS: Final = {NodeState.SUCCEEDED: 0, NodeState.FAILED: 3, NodeState.CANCELLED: 3, NodeState.SKIPPED: 6}
UNLESS_SHIFT: Final = 9
IF_SHIFT: Final = 12
_MARKS: Final = 7
_head: Final = struct.Struct(">B?")
# By the number that stands for it.
_ON_FAILURE: Final[tuple[OnFailure, ...]] = ("skip_dependents", "fail", "continue")
_Stopped = Literal["", "failed", "cancelled"]
_STOPPED: Final[tuple[_Stopped, ...]] = get_args(_Stopped)
HEAD: Final = struct.Struct(">HBBHB")
_dependant: Final = struct.Struct(">HH")


class Mark(enum.IntFlag):
    """`FAILED`: a need without a condition of its own did; `LACKS`: one of these was not as good as a success; `UNMET`:
    a condition of an edge is not met."""

    FAILED = 1
    LACKS = 2
    UNMET = 4


class Dependant(NamedTuple):
    """Of the end of a node: `marks` that it makes there. `starts`: whether the dependant does, with these and those
    that it had, if all its needs have ended."""

    number: int
    rule: int
    end: NodeState

    @property
    def marks(self) -> int:
        return self.rule >> SHIFTS[self.end] & _MARKS

    def starts(self, had: int) -> bool:
        marks, needed = had | self.marks, self.rule >> IF_SHIFT & _MARKS
        return not marks & self.rule >> UNLESS_SHIFT & _MARKS and marks & needed == needed


class Program(NamedTuple):
    """Of a node. `dependants`: 4 bytes each."""

    on_failure: OnFailure
    compensates: bool
    dependants: bytes

    def encoded(self) -> bytes:
        """Two bytes, then the dependants."""
        return _head.pack(_ON_FAILURE.index(self.on_failure), self.compensates) + self.dependants

    def each_dependant(self, end: NodeState) -> Iterator[Dependant]:
        return (Dependant(number, rule, end) for number, rule in _dependant.iter_unpack(self.dependants))


# Of each `when`: the marks of which none may be there, and those that have to.
_STARTS: Final[dict[When, tuple[int, int]]] = {
    "all_succeeded": (int(Mark.UNMET | Mark.LACKS), 0),
    "all_done": (int(Mark.UNMET), 0),
    "any_failed": (int(Mark.UNMET), int(Mark.FAILED)),
}


def programs_of(graph: Graph) -> list[bytes]:
    """Of each node, by number."""
    dependants = [bytearray() for _ in graph.nodes]
    for number, needs in enumerate(graph.needs):
        starts = graph.nodes[number].when
        for other, when in needs:
            rule = _rule(starts, when, graph.nodes[other].on_failure == "continue")
            dependants[other] += _dependant.pack(number, rule)
    return [
        Program(node.on_failure, node.compensate is not None, bytes(each)).encoded()
        for node, each in zip(graph.nodes, dependants, strict=True)
    ]


def begin_of(numbers: Iterable[int]) -> bytes:
    """The program of what has ended before all nodes: its dependants, which are ready, wait for nothing else."""
    ready = b"".join(_dependant.pack(number, 0) for number in numbers)
    return Program("skip_dependents", False, ready).encoded()


def roots_of(graph: Graph) -> list[int]:
    """The nodes that are ready where none has begun."""
    return [number for number, needs in enumerate(graph.needs) if not needs]


def _marks(end: NodeState, when: EdgeWhen | None, *, tolerated: bool) -> int:
    """What the end of a node means for one that waits for it by this edge. `tolerated`: it says `continue`."""
    if when is not None:
        return 0 if meets(when, end) else int(Mark.UNMET)
    failed = int(Mark.FAILED) if end in FAILURES else 0
    return failed if end is NodeState.SUCCEEDED or (failed and tolerated) else failed | int(Mark.LACKS)


@functools.cache
def _rule(starts: When, when: EdgeWhen | None, tolerated: bool) -> int:
    ends = (NodeState.SUCCEEDED, NodeState.FAILED, NodeState.SKIPPED)
    marks = sum(_marks(end, when, tolerated=tolerated) << SHIFTS[end] for end in ends)
    unless, needed = _STARTS[starts]
    return marks | unless << UNLESS_SHIFT | needed << IF_SHIFT


def decode_program(program: bytes) -> Program:
    on_failure, compensates = _head.unpack_from(program)
    return Program(_ON_FAILURE[on_failure], compensates, program[_head.size :])


def cells_of(progress: Progress) -> bytes:
    """All nodes, by number."""
    graph, states = progress.graph, progress.states
    cells = []
    for number, needs in enumerate(graph.needs):
        left, marks = 0, 0
        for need in needs:
            end = states[need.node]
            if end.has_ended:
                marks |= _marks(end, need.when, tolerated=graph.nodes[need.node].on_failure == "continue")
            else:
                left += 1
        cells.append(CELL.pack(LETTERS[states[number]], left, marks))
    return b"".join(cells)


def states_in(cells: bytes) -> list[NodeState]:
    return [_STATES[letter] for letter, _, _ in CELL.iter_unpack(cells)]


class Head(NamedTuple):
    """Of all nodes: how many have not ended (`left`), `stopped` and `paused` as in `Progress`; in which `generation`
    they run, that is how often the workflow was retried; whether one has `failed` for which it is to fail."""

    left: int
    stopped: _Stopped = ""
    paused: bool = False
    generation: int = 0
    failed: bool = False

    def encoded(self) -> bytes:
        return HEAD.pack(self.left, _STOPPED.index(self.stopped), self.paused, self.generation, self.failed)


def encode_progress(progress: Progress, generation: int = 0) -> bytes:
    """The head and the cells."""
    states = zip(progress.graph.nodes, progress.states, strict=True)
    left = sum(not state.has_ended for state in progress.states)
    failed = any(state in FAILURES and not is_as_good(node, state) for node, state in states)
    return Head(left, progress.stopped, progress.paused, generation, failed).encoded() + cells_of(progress)


def begun(graph: Graph) -> bytes:
    """As `encode_progress` of one that has not begun."""
    cells = b"".join(CELL.pack(b"p" if needs else b"y", len(needs), 0) for needs in graph.needs)
    return Head(len(graph)).encoded() + cells


def decode_head(stored: bytes) -> Head:
    left, stopped, paused, generation, failed = HEAD.unpack_from(stored)
    return Head(left, _STOPPED[stopped], bool(paused), generation, bool(failed))


def decode_progress(stored: bytes) -> tuple[Head, list[NodeState]]:
    return decode_head(stored), states_in(stored[HEAD.size :])
