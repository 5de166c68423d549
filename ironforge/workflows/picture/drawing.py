"""A workflow on a terminal: a line for each node, beside lanes that lead from it to those that wait for it.

    ✓      fetch   succeeded
    ├─✓    small   succeeded
    ├─│─●  medium  running
    ● │ │  large   running
    ○─┴─╯  merge   pending

A lane is of one node, from its line to the last one that waits for it: it is joined to their lines by a branch or a
corner, and a line that waits for another lane passes behind it. A mark without a line to its left goes on in the lane
above it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from ironforge.workflows.graph import Graph
from ironforge.workflows.picture.folding import Fold, folds_of
from ironforge.workflows.picture.lanes import Lanes
from ironforge.workflows.states import NodeState

MOST_LINES: Final = 60
_MARKS: Final = dict(zip(NodeState, "○◎●✓✗⊘»", strict=True))
_ASCII_MARKS: Final = dict(zip(NodeState, "o@*vx/~", strict=True))
_ASCII: Final = str.maketrans(
    {"│": "|", "─": "-", "├": "+", "┤": "+", "┼": "+", "┴": "+", "╰": "`", "╯": "'", "…": "~"}
)
# What a fold is shown as: that of its states which stands first here.
_URGENT: Final = (
    *(NodeState.FAILED, NodeState.RUNNING, NodeState.READY, NodeState.PENDING),
    *(NodeState.CANCELLED, NodeState.SUCCEEDED, NodeState.SKIPPED),
)
_LEAST_LABEL: Final = 8
_MIN_WIDTH: Final = 20


class Span(NamedTuple):
    """A piece of a line; `state`: whose colour it has."""

    text: str
    state: NodeState | None = None


def draw(
    graph: Graph,
    states: Sequence[NodeState],
    notes: Mapping[int, str] | None = None,
    *,
    width: int = 80,
    most_lines: int = MOST_LINES,
    ascii_only: bool = False,
) -> list[list[Span]]:
    """Lines of at most `width` columns, of 20 at least, and at most so many. `notes`: by number, what is said behind a
    node that is shown by itself: printable, of one line. Large workflows are folded: a line then says how many nodes it
    stands for, and in which states these are."""
    if not graph.nodes:
        return []
    width = max(width, _MIN_WIDTH)
    folds = folds_of(graph, most_lines)
    lanes = _lanes(folds)
    while lanes.width > width // 2 and len(folds) > 1:
        folds = folds_of(graph, min(len(folds) - 1, len(folds) * 2 // 3))
        lanes = _lanes(folds)
    made = _Lines(graph, states, notes or {}, ascii_only=ascii_only)
    lines = made.lines(folds, lanes, width)
    return [[Span(span.text.translate(_ASCII), span.state) for span in line] for line in lines] if ascii_only else lines


def _lanes(folds: Sequence[Fold]) -> Lanes:
    return Lanes([fold.needs for fold in folds])


class _Lines:
    def __init__(
        self, graph: Graph, states: Sequence[NodeState], notes: Mapping[int, str], *, ascii_only: bool
    ) -> None:
        self._graph = graph
        self._states = states
        self._notes = notes
        self._marks = _ASCII_MARKS if ascii_only else _MARKS

    def lines(self, folds: Sequence[Fold], lanes: Lanes, width: int) -> list[list[Span]]:
        labels = [self._label(fold) for fold in folds]
        room = width - lanes.width - 2
        longest = min(max(map(len, labels)), max(_LEAST_LABEL, room - 12))
        found = []
        for number, before, behind in lanes.rows:
            state = self._state(folds[number])
            line = [Span(before), Span(self._marks[state], state)]
            pad = " " * (lanes.width - len(before) - 1 - len(behind))
            line.append(Span(f"{behind}{pad}  {_cut(labels[number], min(longest, room)):{min(longest, room)}}"))
            line += self._behind(folds[number], room - longest)
            line[-1] = Span(line[-1].text.rstrip(), line[-1].state)
            found.append(line)
        return found

    def _label(self, fold: Fold) -> str:
        nodes = self._graph.nodes
        if len(fold.members) == 1:
            return nodes[fold.members[0]].id
        kinds = {nodes[number].kind for number in fold.members}
        return f"{len(fold.members)} of {kinds.pop()}" if len(kinds) == 1 else f"{len(fold.members)} nodes"

    def _state(self, fold: Fold) -> NodeState:
        found = {self._states[number] for number in fold.members}
        return next(state for state in _URGENT if state in found)

    def _behind(self, fold: Fold, room: int) -> list[Span]:
        """The state in words and the note, or how many are in which state, as far as there is room."""
        if len(fold.members) == 1:
            number = fold.members[0]
            said = [Span(self._states[number].value, self._states[number])]
            if note := self._notes.get(number):
                said.append(Span(note))
        else:
            counts = Counter(self._states[number] for number in fold.members)
            said = [Span(f"{counts[state]} {state}", state) for state in _URGENT if counts[state]]
        found: list[Span] = []
        for span in said:
            room -= 2
            if room < min(len(span.text), 4):
                break
            text = _cut(span.text, room)
            found += [Span("  "), Span(text, span.state)]
            room -= len(text)
        return found


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
