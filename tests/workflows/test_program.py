"""What the server is to work through says the same as the whole graph does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ironforge.workflows.again import retried
from ironforge.workflows.graph import Graph
from ironforge.workflows.program import (
    CELL,
    LETTERS,
    SHIFTS,
    Mark,
    begin_of,
    cells_of,
    decode_program,
    programs_of,
    roots_of,
    states_in,
)
from ironforge.workflows.progress import Progress
from ironforge.workflows.states import NodeState
from tests.workflows.documents import checked, edge, node
from tests.workflows.runs import ENDS, Run, graphs


class Worker:
    """Goes by programs and cells alone, an end at a time, as a script of the server does."""

    def __init__(self, progress: Progress) -> None:
        graph = progress.graph
        self.programs = [*map(decode_program, programs_of(graph))]
        self.cells = bytearray(cells_of(progress))
        self.stopped = False

    def end(self, number: int, how: NodeState) -> None:
        ends = [(number, how)]
        for ended, end in ends:
            _, left, marks = self._cell(ended)
            self._write(ended, end, left, marks)
            program = self.programs[ended]
            self.stopped = self.stopped or (
                program.on_failure == "fail" and end in (NodeState.FAILED, NodeState.CANCELLED)
            )
            for dependant in program.each_dependant(end):
                letter, left, marks = self._cell(dependant.number)
                state = states_in(letter + b"\0\0\0")[0]
                if left == 1 and not self.stopped:
                    state = NodeState.READY if dependant.starts(marks) else NodeState.SKIPPED
                if state is NodeState.SKIPPED:
                    ends.append((dependant.number, state))
                self._write(dependant.number, state, left - 1, marks | dependant.marks)

    def _cell(self, number: int) -> tuple[bytes, int, int]:
        letter, left, marks = CELL.unpack_from(self.cells, number * CELL.size)
        return letter, left, marks

    def _write(self, number: int, state: NodeState, left: int, marks: int) -> None:
        CELL.pack_into(self.cells, number * CELL.size, LETTERS[state], left, marks)


def test_a_program_is_small() -> None:
    graph = checked(node("a", on_failure="continue"), node("b", "a"), node("c", edge("a", "failed")))
    first = programs_of(graph)[0]
    assert len(first) == 10
    program = decode_program(first)
    assert (program.on_failure, program.compensates) == ("continue", False)
    made = {
        end: [(each.number, each.marks) for each in program.each_dependant(end)] for end in NodeState if end in SHIFTS
    }
    assert made == {
        NodeState.SUCCEEDED: [(1, 0), (2, Mark.UNMET)],
        NodeState.FAILED: [(1, Mark.FAILED), (2, 0)],
        NodeState.CANCELLED: [(1, Mark.FAILED), (2, 0)],
        NodeState.SKIPPED: [(1, Mark.LACKS), (2, Mark.UNMET)],
    }
    assert [each.starts(0) for each in program.each_dependant(NodeState.FAILED)] == [True, True]
    assert [each.starts(0) for each in program.each_dependant(NodeState.SUCCEEDED)] == [True, False]
    assert [each.number for each in decode_program(begin_of(roots_of(graph))).each_dependant(NodeState.SUCCEEDED)] == [
        0
    ]


def test_cells_are_read_back() -> None:
    progress = Progress(checked(node("a"), node("b", "a"), node("c", "a", "b")))
    assert cells_of(progress) == b"y\0\0\0" + b"p\0\1\0" + b"p\0\2\0"
    assert states_in(cells_of(progress)) == progress.states


def compare(progress: Progress, data: st.DataObject) -> None:
    worker = Worker(progress)
    while progress.ready:
        number = data.draw(st.sampled_from(progress.ready))
        how = data.draw(st.sampled_from(ENDS))
        progress.start(number)
        progress.end(number, how)
        worker.end(number, how)
        if worker.stopped:
            assert progress.stopped
            return
        assert bytes(worker.cells) == cells_of(progress)


@given(graphs(), st.data())
def test_programs_say_what_the_graph_says(graph: Graph, data: st.DataObject) -> None:
    compare(Progress(graph), data)


@given(graphs(), st.data())
def test_and_so_they_do_after_a_retry(graph: Graph, data: st.DataObject) -> None:
    first = Run(Progress(graph), data)
    first.to_its_end()
    if first.progress.status != "completed":
        compare(retried(first.progress), data)
