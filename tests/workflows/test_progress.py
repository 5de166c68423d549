"""Which node is next, and how a workflow ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.workflows.graph import Graph
from ironforge.workflows.progress import Progress
from ironforge.workflows.states import TRANSITIONS, NodeState
from tests.workflows.documents import checked, edge, node
from tests.workflows.runs import Run, after, expected, go_on, graphs, names, states

SUCCEEDED, FAILED, CANCELLED, SKIPPED = (
    *(NodeState.SUCCEEDED, NodeState.FAILED),
    *(NodeState.CANCELLED, NodeState.SKIPPED),
)


def test_nodes_start_when_all_that_they_wait_for_has_ended() -> None:
    graph = checked(node("fetch"), node("a", "fetch"), node("b", "fetch"), node("merge", "a", "b"))
    progress = Progress(graph)
    assert names(progress, progress.ready) == ["fetch"]
    progress.start(0)
    progress.end(0, SUCCEEDED)
    assert names(progress, progress.ready) == ["a", "b"]
    progress.start(1)
    progress.end(1, SUCCEEDED)
    assert names(progress, progress.ready) == ["b"]
    progress.start(2)
    assert progress.ready == []
    progress.end(2, SUCCEEDED)
    assert names(progress, progress.ready) == ["merge"]
    assert progress.status == "running"
    progress.start(3)
    progress.end(3, SUCCEEDED)
    assert progress.status == "completed"


@pytest.mark.parametrize("how", ["failed", "cancelled"])
def test_by_default_a_failure_fails_the_workflow_and_what_has_not_started_is_cancelled(how: str) -> None:
    progress = Progress(checked(node("a"), node("b"), node("c"), node("d", "b")))
    progress.start(0)
    progress.start(1)
    progress.end(0, NodeState(how))
    assert states(progress) == {"a": how, "b": "running", "c": "cancelled", "d": "cancelled"}
    assert progress.status == "running"
    progress.end(1, SUCCEEDED)
    assert progress.status == "failed"


def test_a_failure_that_is_tolerated_is_as_good_as_a_success() -> None:
    progress = after(checked(node("a", on_failure="continue"), node("b", "a")), a="failed")
    assert states(progress) == {"a": "failed", "b": "succeeded"}
    assert progress.status == "completed"


def test_a_failure_that_skips_dependants_lets_the_others_end_and_then_fails_the_workflow() -> None:
    graph = checked(node("a", on_failure="skip_dependents"), node("b", "a"), node("c", "b"), node("other"))
    progress = after(graph, a="failed")
    assert states(progress) == {"a": "failed", "b": "skipped", "c": "skipped", "other": "succeeded"}
    assert progress.status == "failed"


def test_one_node_instead_of_another() -> None:
    graph = checked(
        node("card", on_failure="continue"),
        node("invoice", edge("card", "failed")),
        node("receipt", edge("card", "succeeded")),
        node("ship", "card", "invoice", when="all_done"),
    )
    progress = after(graph, card="failed")
    assert states(progress) == {"card": "failed", "invoice": "succeeded", "receipt": "skipped", "ship": "succeeded"}
    progress = after(graph)
    assert states(progress) == {"card": "succeeded", "invoice": "skipped", "receipt": "succeeded", "ship": "succeeded"}
    assert progress.status == "completed"


def test_any_failed_waits_until_all_have_ended() -> None:
    graph = checked(
        node("a", on_failure="continue"), node("b", on_failure="continue"), node("c", "a", "b", when="any_failed")
    )
    progress = Progress(graph)
    progress.start(0)
    progress.end(0, FAILED)
    assert names(progress, progress.ready) == ["b"]
    go_on(progress)
    assert states(progress)["c"] == "succeeded"


def test_cancelling_leaves_what_runs_to_end() -> None:
    progress = Progress(checked(node("a"), node("b", "a")))
    progress.start(0)
    progress.cancel()
    assert states(progress) == {"a": "running", "b": "cancelled"}
    progress.end(0, SUCCEEDED)
    assert progress.status == "cancelled"
    progress.cancel()
    assert progress.status == "cancelled"


def test_nothing_starts_while_it_is_paused() -> None:
    progress = Progress(checked(node("a"), node("b", "a")))
    progress.start(0)
    progress.pause()
    progress.end(0, SUCCEEDED)
    assert (progress.status, progress.ready) == ("paused", [])
    progress.resume()
    assert (progress.status, progress.ready) == ("running", [1])


def test_what_succeeded_is_undone_the_last_first() -> None:
    undone = {"compensate": "undo"}
    graph = checked(node("a", **undone), node("b"), node("c", "a", **undone), node("d", "c", "b"))
    progress = after(graph, d="failed")
    assert (progress.status, progress.outcome) == ("running", "failed")
    assert names(progress, [progress.to_undo]) == ["c"]
    progress.compensation.start(2)
    assert progress.to_undo is None
    progress.compensation.end(2, SUCCEEDED)
    assert names(progress, [progress.to_undo]) == ["a"]
    progress.compensation.start(0)
    progress.compensation.end(0, SUCCEEDED)
    assert (progress.status, progress.to_undo) == ("failed", None)


def test_undoing_stops_where_it_fails() -> None:
    graph = checked(node("a", compensate="undo"), node("b", "a", compensate="undo"), node("c", "b"))
    progress = after(graph, c="failed")
    progress.compensation.start(1)
    progress.compensation.end(1, FAILED)
    assert (progress.status, progress.to_undo) == ("failed", None)


def test_a_node_ends_once() -> None:
    progress = after(checked(node("a")))
    with pytest.raises(ValueError, match="node 'a' is succeeded, and cannot become failed"):
        progress.end(0, FAILED)


def test_a_state_without_a_way_out_is_an_end() -> None:
    assert {state for state in NodeState if state.has_ended} == {SUCCEEDED, FAILED, CANCELLED, SKIPPED}
    assert {*TRANSITIONS} == {*NodeState}


@given(graphs(), st.data())
def test_every_run_ends_and_each_node_as_its_conditions_say(graph: Graph, data: st.DataObject) -> None:
    run = Run(Progress(graph), data)
    run.to_its_end()
    progress = run.progress
    assert [state for state in progress.states if not state.has_ended] == []
    want = expected(graph, run.ran, {})
    for number, state in enumerate(progress.states):
        if state is CANCELLED and number not in run.ran:
            assert progress.stopped
        else:
            assert state is want[number]


@given(graphs(), st.data())
def test_a_workflow_fails_by_what_it_is_not_to_tolerate(graph: Graph, data: st.DataObject) -> None:
    run = Run(Progress(graph), data)
    run.to_its_end()
    failed = {graph.nodes[number].on_failure for number, end in run.ran.items() if end is not SUCCEEDED}
    if run.progress.status == "failed":
        assert failed & {"fail", "skip_dependents"}
    if run.progress.status == "completed":
        assert failed <= {"continue"}


@given(graphs(), st.data())
def test_what_is_undone_had_succeeded_and_is_undone_in_reverse(graph: Graph, data: st.DataObject) -> None:
    run = Run(Progress(graph), data)
    run.to_its_end()
    order = [number for number, end in run.ran.items() if end is SUCCEEDED and graph.nodes[number].compensate]
    assert run.undone == order[::-1][: len(run.undone)]
    undone = run.progress.compensation.undone
    if run.progress.status == "completed":
        assert undone == {}
    elif {*undone.values()} <= {SUCCEEDED}:
        assert len(undone) == len(order)
