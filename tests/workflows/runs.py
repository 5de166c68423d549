"""Runs of workflows of any shape, and what has to come of them, told in another way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from hypothesis import strategies as st

from ironforge.workflows.definition import Node
from ironforge.workflows.graph import Graph
from ironforge.workflows.progress import Progress
from ironforge.workflows.states import NodeState

ENDS = (NodeState.SUCCEEDED, NodeState.FAILED, NodeState.CANCELLED)
_WHENS = ["all_succeeded", "all_done", "any_failed"]


@st.composite
def graphs(draw: st.DrawFn, most: int = 9) -> Graph:
    """Of any conditions, also those that make no sense."""
    nodes: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, most))):
        needs = draw(st.lists(st.integers(0, number - 1), unique=True, max_size=4)) if number else []
        own = st.sampled_from([None, None, "succeeded", "done", "failed"])
        edges = [f"n{need}" if (when := draw(own)) is None else {"node": f"n{need}", "when": when} for need in needs]
        nodes.append(
            {
                "id": f"n{number}",
                "kind": "k",
                "after": edges,
                "when": draw(st.sampled_from(_WHENS)),
                "on_failure": draw(st.sampled_from(["fail", "continue", "skip_dependents"])),
                **({"compensate": "undo"} if draw(st.booleans()) else {}),
            }
        )
    # In any order.
    return Graph(msgspec.convert(draw(st.permutations(nodes)), list[Node]))


def after(graph: Graph, **ends: str) -> Progress:
    """Nodes run as they become ready, and end so; others succeed."""
    progress = Progress(graph)
    go_on(progress, **ends)
    return progress


def go_on(progress: Progress, **ends: str) -> None:
    while progress.ready:
        for number in progress.ready:
            progress.start(number)
            progress.end(number, NodeState(ends.get(progress.graph.nodes[number].id, "succeeded")))


def states(progress: Progress) -> dict[str, str]:
    return {node.id: state.value for node, state in zip(progress.graph.nodes, progress.states, strict=True)}


def names(progress: Progress, numbers: Any) -> list[str]:
    return [progress.graph.nodes[number].id for number in numbers]


class Run:
    """Drives a workflow to its end by draws, and looks at every step."""

    def __init__(self, progress: Progress, data: st.DataObject) -> None:
        self.progress = progress
        self.data = data
        self.ran: dict[int, NodeState] = {}
        self.undone: list[int] = []
        self.pauses = 0

    def to_its_end(self, *, always: NodeState | None = None) -> None:
        """`always`: how each node ends."""
        graph, progress = self.progress.graph, self.progress
        # Each step ends a node, starts one, or is one of a few that steer.
        for _ in range(6 * len(graph) + 10):
            if progress.status not in ("running", "paused"):
                return
            self._step(always)
        raise AssertionError(f"it does not end: {progress.states}")

    def _step(self, always: NodeState | None) -> None:
        progress = self.progress
        running = [number for number, state in enumerate(progress.states) if state is NodeState.RUNNING]
        undoing = [number for number, state in progress.compensation.undone.items() if state is NodeState.RUNNING]
        moves = [("start", number) for number in progress.ready]
        moves += [("end", number) for number in running] + [("undone", number) for number in undoing]
        moves += [("undo", progress.to_undo)] if progress.to_undo is not None else []
        if progress.paused:
            moves.append(("resume", 0))
        elif always is None and self.data.draw(st.integers(0, 9)) == 9:
            moves += [("pause", 0)] if self.pauses < 3 else []
            moves += [("cancel", 0)] if progress.outcome is None else []
        assert moves, f"nothing can happen, and it is {progress.status}: {progress.states}"
        self._make(*self.data.draw(st.sampled_from(moves)), always)

    def _make(self, move: str, number: int, always: NodeState | None) -> None:
        progress, graph = self.progress, self.progress.graph
        how = (always or self.data.draw(st.sampled_from(ENDS))) if move in ("end", "undone") else NodeState.RUNNING
        match move:
            case "start":
                assert all(progress.states[need.node].has_ended for need in graph.needs[number])
                assert number not in self.ran
                assert (progress.paused, progress.stopped) == (False, "")
                progress.start(number)
            case "end":
                self.ran[number] = how
                progress.end(number, how)
            case "undo":
                self.undone.append(number)
                progress.compensation.start(number)
            case "undone":
                progress.compensation.end(number, how)
            case _:
                getattr(progress, move)()
        self.pauses += move == "pause"


def expected(graph: Graph, ran: Mapping[int, NodeState], kept: Mapping[int, NodeState]) -> dict[int, NodeState]:
    """How all nodes end that were not stopped: by what is said of them, one by one. `kept`: from an earlier run."""
    ends: dict[int, NodeState] = {}
    for number in graph.order:
        if number in kept:
            ends[number] = kept[number]
        elif all(need.node in ends for need in graph.needs[number]):
            if not _starts(graph, number, ends):
                ends[number] = NodeState.SKIPPED
            elif number in ran:
                ends[number] = ran[number]
    return ends


def _starts(graph: Graph, number: int, ends: Mapping[int, NodeState]) -> bool:
    plain, node = [], graph.nodes[number]
    for need in graph.needs[number]:
        end, tolerated = ends[need.node].value, graph.nodes[need.node].on_failure == "continue"
        if need.when is None:
            plain.append((end, tolerated))
        elif end not in {"succeeded": ["succeeded"], "failed": ["failed", "cancelled"]}.get(need.when, [end]):
            return False
    if node.when == "all_succeeded":
        return not [end for end, tolerated in plain if end == "skipped" or (end != "succeeded" and not tolerated)]
    return node.when == "all_done" or bool([end for end, _ in plain if end in ("failed", "cancelled")])
