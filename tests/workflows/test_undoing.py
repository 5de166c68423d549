"""What the server keeps of undoing says the same as `Compensation` does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ironforge.workflows.compensation import Compensation, Undoing
from ironforge.workflows.graph import Graph
from ironforge.workflows.states import NodeState
from tests.workflows.runs import ENDS, graphs


@given(graphs(), st.data())
def test_undoing_is_compensation(graph: Graph, data: st.DataObject) -> None:
    numbers = data.draw(st.permutations(range(len(graph))))
    compensation = Compensation(graph.nodes, numbers)
    order = [number for number in numbers if graph.nodes[number].compensate]
    last: int | None = None
    how: NodeState | None = None
    while True:
        undoing = Undoing(order, last, how)
        assert undoing.undone == compensation.undone
        assert undoing.next == compensation.next
        assert undoing.is_open == compensation.is_open
        if last is not None and how is None:
            how = data.draw(st.sampled_from(ENDS))
            compensation.end(last, how)
        elif undoing.next is None:
            return
        else:
            last, how = undoing.next, None
            compensation.start(last)


def test_where_the_order_is_damaged_nothing_more_is_undone() -> None:
    undoing = Undoing([1, 2], 7, NodeState.SUCCEEDED)
    assert (undoing.next, undoing.is_open, undoing.undone) == (None, False, {7: NodeState.SUCCEEDED})
    assert Undoing([], 7).is_open
