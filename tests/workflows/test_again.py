"""What a retry and a fork of a workflow run again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.errors import InvalidJob, InvalidState
from ironforge.workflows.again import edited, forked, retried
from ironforge.workflows.graph import Graph
from ironforge.workflows.progress import Progress
from ironforge.workflows.states import NodeState
from tests.workflows.documents import checked, node, result, workflow
from tests.workflows.runs import Run, after, expected, go_on, graphs, states

SUCCEEDED, FAILED, CANCELLED, SKIPPED = (
    *(NodeState.SUCCEEDED, NodeState.FAILED),
    *(NodeState.CANCELLED, NodeState.SKIPPED),
)


def test_a_retry_runs_what_failed_and_what_waits_for_it() -> None:
    graph = checked(node("a"), node("b", "a"), node("c", "b"), node("other", "a"))
    progress = Progress(graph)
    progress.start(0)
    progress.end(0, SUCCEEDED)
    progress.start(3)
    progress.start(1)
    progress.end(1, FAILED)
    progress.end(3, SUCCEEDED)
    again = retried(progress)
    assert states(again) == {"a": "succeeded", "b": "ready", "c": "pending", "other": "succeeded"}
    go_on(again)
    assert again.status == "completed"


def test_a_retry_runs_again_what_was_undone_and_keeps_what_was_tolerated() -> None:
    graph = checked(
        node("tried", on_failure="continue"), node("a", compensate="undo"), node("b", "a"), node("c", "b", "tried")
    )
    progress = after(graph, tried="failed", c="failed")
    progress.compensation.start(1)
    progress.compensation.end(1, SUCCEEDED)
    again = retried(progress)
    assert states(again) == {"tried": "failed", "a": "ready", "b": "pending", "c": "pending"}
    assert again.compensation.undone == {}


def test_only_what_has_ended_without_success_can_be_retried() -> None:
    progress = Progress(checked(node("a")))
    with pytest.raises(InvalidState, match="the workflow is running: it can be retried once it has ended") as refused:
        retried(progress)
    assert refused.value.workflow_status == "running"
    go_on(progress)
    with pytest.raises(InvalidState, match="nothing to retry; fork it instead"):
        retried(progress)


def test_a_cancelled_workflow_whose_nodes_all_succeeded_completes_when_it_is_retried() -> None:
    progress = Progress(checked(node("a")))
    progress.start(0)
    progress.cancel()
    progress.end(0, SUCCEEDED)
    assert progress.status == "cancelled"
    assert retried(progress).status == "completed"


def test_one_that_completed_with_a_cancelled_node_is_not_retried() -> None:
    progress = after(checked(node("a", on_failure="continue")), a="cancelled")
    with pytest.raises(InvalidState, match="nothing to retry"):
        retried(progress)


def test_a_fork_keeps_what_is_not_downstream() -> None:
    document = workflow(
        node("a", compensate="undo"), node("b", "a", payload=result("a.result")), node("c", "b"), node("other", "a")
    )
    made, graph = edited(document, "b", b'{"edited":true}')
    assert bytes(made.nodes[1].payload) == b'{"edited":true}'
    fork = forked(
        after(checked(*(node("a", compensate="undo"), node("b", "a"), node("c", "b"), node("other", "a")))), "b", graph
    )
    assert states(fork) == {"a": "succeeded", "b": "ready", "c": "pending", "other": "succeeded"}
    go_on(fork, c="failed")
    # It ran for the other workflow.
    assert (fork.status, fork.to_undo) == ("failed", None)


def test_a_fork_with_the_payload_as_it_was_or_from_a_node_that_is_not_there() -> None:
    document = workflow(node("fetch"), node("use", "fetch", payload={"a": 1}))
    assert edited(document, "use", None)[0] == document
    with pytest.raises(InvalidJob, match="node: there is no node 'fetsh': did you mean 'fetch'") as refused:
        edited(document, "fetsh", b"1")
    assert refused.value.field == "node"
    with pytest.raises(InvalidJob, match=r"nodes\[0\].payload: 'use' need not have ended"):
        edited(document, "fetch", b'{"$result":"use.result"}')


def test_a_fork_of_what_failed_runs_that_as_well() -> None:
    graph = checked(node("a"), node("b", "a"), node("c", on_failure="skip_dependents"), node("d", "c"))
    fork = forked(after(graph, c="failed"), "b", graph)
    assert states(fork) == {"a": "succeeded", "b": "ready", "c": "ready", "d": "pending"}


def test_a_fork_from_no_node_runs_what_failed() -> None:
    graph = checked(node("a"), node("b", "a"), node("c", "b"))
    assert states(forked(after(graph, b="failed"), None, graph)) == {"a": "succeeded", "b": "ready", "c": "pending"}
    with pytest.raises(InvalidState, match="name the node from which"):
        forked(after(graph), None, graph)


def test_a_fork_of_a_running_workflow_is_refused() -> None:
    graph = checked(node("a"))
    with pytest.raises(InvalidState, match="the workflow is running: it can be forked once it has ended"):
        forked(Progress(graph), "a", graph)


@given(graphs(), st.data())
def test_a_retry_ends_and_leaves_nothing_behind_when_all_goes_well(graph: Graph, data: st.DataObject) -> None:
    first = Run(Progress(graph), data)
    first.to_its_end()
    if first.progress.status == "completed":
        return
    again = Run(retried(first.progress), data)
    kept = {number: state for number, state in enumerate(again.progress.states) if state.has_ended}
    again.to_its_end(always=SUCCEEDED)
    assert again.progress.status == "completed"
    want = expected(graph, again.ran, {number: state for number, state in kept.items() if state is not SKIPPED})
    assert dict(enumerate(again.progress.states)) == want
    undone = {*first.progress.compensation.undone}
    failed = {number for number, state in enumerate(first.progress.states) if state in (FAILED, CANCELLED)}
    twice = {number for number in again.ran if first.ran.get(number) is SUCCEEDED}
    assert twice <= undone | graph.downstream(undone | failed)


@given(graphs(), st.data())
def test_a_fork_runs_the_node_and_what_waits_for_it(graph: Graph, data: st.DataObject) -> None:
    first = Run(Progress(graph), data)
    first.to_its_end()
    number = data.draw(st.integers(0, len(graph) - 1))
    fork = Run(forked(first.progress, graph.nodes[number].id, graph), data)
    again = {number, *graph.downstream([number])}
    # What is skipped may have been decided anew.
    kept = {n: state for n, state in enumerate(fork.progress.states) if state.has_ended and state is not SKIPPED}
    assert kept.keys() & again == set()
    assert kept == {n: first.progress.states[n] for n in kept}
    fork.to_its_end()
    assert fork.ran.keys() & kept.keys() == set()
