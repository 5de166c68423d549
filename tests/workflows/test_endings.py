"""What a workflow says of its end, and to the jobs that it submits then."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.job.checks import MAX_PAYLOAD_BYTES
from ironforge.steps.waits import ParentRef
from ironforge.workflows.definition import MAX_NODES
from ironforge.workflows.endings import MOST_NODES_TOLD, callback_payload, most_bytes_of, reason_of, undo_payload
from ironforge.workflows.errors import Unresolved
from ironforge.workflows.graph import Graph
from ironforge.workflows.payloads import resolved, words_in
from ironforge.workflows.progress import Progress
from ironforge.workflows.states import NodeState
from tests.workflows.documents import checked, node, result
from tests.workflows.runs import Run, after, graphs

ID = "0197c7a4-3f00-7000-8000-000000000001"


def decoded(payload: bytes) -> Any:
    return msgspec.json.decode(payload)


def test_what_undoes_a_node_gets_its_payload_and_what_it_returned() -> None:
    graph = checked(node("a"), node("b", "a", payload={"of": result("a.result.id"), "as": {"$literal": {"$item": 1}}}))
    payload = undo_payload(ID, graph.nodes[1])
    assert [(place, str(reference)) for place, reference in words_in(payload).results] == [
        ("payload.payload.of", "a.result.id"),
        ("payload.result", "b.result"),
    ]
    filled = resolved(payload, {"a": b'{"id": 7}', "b": b'{"charge":"c1"}'})
    want = {"workflow": ID, "node": "b", "payload": {"of": 7, "as": {"$item": 1}}, "result": {"charge": "c1"}}
    assert decoded(filled) == want


def test_however_large_these_were() -> None:
    large = b'"%s"' % (b"x" * (MAX_PAYLOAD_BYTES - 2))
    payload = undo_payload(ID, checked(node("a"), node("b", "a", payload=result("a.result"))).nodes[1])
    undoing, running = (ParentRef(b"w" * 16, "", number, node="b") for number in (MAX_NODES + 1, 1))
    results = {"a": large, "b": large}
    assert len(resolved(payload, results, most=most_bytes_of(undoing))) > 2 * MAX_PAYLOAD_BYTES
    with pytest.raises(Unresolved, match=f"more than {MAX_PAYLOAD_BYTES} bytes"):
        resolved(payload, results, most=most_bytes_of(running))


def test_what_undoes_a_map_gets_the_list_of_results_alone() -> None:
    graph = checked(node("a"), node("b", "a", map={"over": "a.result"}, payload={"x": {"$item": "id"}}))
    filled = resolved(undo_payload(ID, graph.nodes[1]), {"b": b"[1,2]"})
    assert decoded(filled) == {"workflow": ID, "node": "b", "payload": None, "result": [1, 2]}


def test_a_callback_is_told_how_each_node_ended() -> None:
    progress = after(checked(node("a"), node("b", "a"), node("c", "b")), b="failed")
    payload = callback_payload(ID, "order", "failed", progress.graph.nodes, progress.states)
    want = {"workflow": ID, "name": "order", "status": "failed"}
    assert decoded(payload) == {**want, "nodes": {"a": "succeeded", "b": "failed", "c": "cancelled"}}


def test_or_how_many_did_where_there_are_many() -> None:
    graph = checked(*(node(f"n{number}") for number in range(MOST_NODES_TOLD + 1)))
    states = [NodeState.FAILED, *[NodeState.SUCCEEDED] * MOST_NODES_TOLD]
    payload = decoded(callback_payload(ID, "many", "failed", graph.nodes, states))
    assert payload["counts"] == {"succeeded": MOST_NODES_TOLD, "failed": 1}
    assert "nodes" not in payload


def cancelled(progress: Progress) -> Progress:
    progress.cancel()
    return progress


def undone(progress: Progress, number: int, how: NodeState) -> Progress:
    progress.compensation.start(number)
    progress.compensation.end(number, how)
    return progress


GRAPH = checked(node("a", compensate="undo"), node("c", "a", on_failure="continue"), node("b", "c"), node("d", "b"))
WIDE = checked(*(node(f"n{number}", on_failure="skip_dependents") for number in range(8)))


@pytest.mark.parametrize(
    ("progress", "reason"),
    [
        (after(GRAPH), ""),
        (after(GRAPH, c="failed"), ""),
        (after(GRAPH, b="failed"), "node b failed"),
        (after(GRAPH, b="cancelled"), "nodes b, d were cancelled"),
        (undone(after(GRAPH, b="failed"), 0, NodeState.FAILED), "node b failed, node a could not be undone"),
        (undone(after(GRAPH, b="failed"), 0, NodeState.SUCCEEDED), "node b failed"),
        (after(WIDE, **{f"n{number}": "failed" for number in range(7)}), "nodes n0, n1, n2, n3, n4 and 2 more failed"),
        (cancelled(Progress(GRAPH)), ""),
    ],
)
def test_its_reason_names_nodes(progress: Progress, reason: str) -> None:
    assert reason_of(progress) == reason


@given(graphs(), st.data())
def test_what_failed_says_why(graph: Graph, data: st.DataObject) -> None:
    run = Run(Progress(graph), data)
    run.to_its_end()
    if run.progress.status == "failed":
        assert reason_of(run.progress) != ""
    if run.progress.status == "completed":
        assert reason_of(run.progress) == ""
