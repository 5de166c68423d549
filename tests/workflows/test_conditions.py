"""Conditions of nodes and edges: which make sense together, and which node may never run."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given

from ironforge.errors import InvalidJob
from ironforge.workflows.graph import Graph
from ironforge.workflows.reachability import check_reachable
from ironforge.workflows.states import NodeState
from tests.workflows.documents import checked, edge, node, refusal
from tests.workflows.runs import expected, graphs

A, B = node("a"), node("b")
TOLERATED, SKIPPING = node("a", on_failure="continue"), node("a", on_failure="skip_dependents")


@pytest.mark.parametrize(
    "nodes",
    [
        [TOLERATED, node("b", "a", when="any_failed")],
        [SKIPPING, node("b", "a", when="any_failed")],
        [TOLERATED, node("b", "a", when="all_done")],
        [TOLERATED, node("b", edge("a", "failed"))],
        [TOLERATED, node("b", edge("a", "done"))],
        [A, node("b", edge("a", "succeeded"))],
        # One may fail, the other not.
        [SKIPPING, B, node("c", "a", "b", when="all_done")],
        # It may be skipped, and never fails without failing the workflow.
        [SKIPPING, node("b", "a"), node("c", "b", when="all_done")],
        [TOLERATED, node("b", "a", when="any_failed"), node("c", edge("b", "done"))],
        [TOLERATED, node("b", edge("a", "succeeded")), node("c", "b", when="all_done")],
        [TOLERATED, B, node("c", edge("a", "failed"), "b")],
    ],
)
def test_conditions_that_make_a_difference(nodes: list[Any]) -> None:
    assert len(checked(*nodes)) == len(nodes)


@pytest.mark.parametrize(
    ("nodes", "field", "message"),
    [
        ([node("a", when="all_done")], "nodes[0].when", "it waits for no node"),
        ([node("a", when="any_failed")], "nodes[0].when", "it waits for no node"),
        (
            [TOLERATED, node("b", edge("a", "done"), when="all_done")],
            "nodes[1].when",
            "each node in after has a condition of its own",
        ),
        ([A, node("b", "a", when="any_failed")], "nodes[1].when", "it never runs: when one of 'a' fails"),
        ([A, node("b", edge("a", "failed"))], "nodes[1].after[0].when", "give 'a' on_failure continue or skip_dep"),
        ([A, node("b", edge("a", "done"))], "nodes[1].after[0].when", "it is the same as succeeded"),
        ([A, B, node("c", "a", "b", when="all_done")], "nodes[2].when", "it is the same as all_succeeded"),
        # What a failure skips never fails itself.
        (
            [SKIPPING, node("b", "a"), node("c", "b", when="any_failed")],
            "nodes[2].when",
            "give one of these on_failure",
        ),
        # It joins what excludes each other.
        (
            [TOLERATED, node("b", edge("a", "failed")), node("c", edge("a", "succeeded")), node("d", "b", "c")],
            "nodes[3].after",
            "it never runs: that takes 'a' to have succeeded and to have failed",
        ),
        (
            [SKIPPING, node("b", "a", when="any_failed"), node("c", "b"), node("d", "a", "c")],
            "nodes[3].after",
            "give it when all_done",
        ),
    ],
)
def test_conditions_that_contradict_others(nodes: list[Any], field: str, message: str) -> None:
    refused = refusal(*nodes)
    assert (refused.field, refused.code) == (field, "invalid_workflow")
    assert message in str(refused)


@given(graphs(most=6))
def test_a_node_that_is_said_never_to_run_does_not_however_the_others_end(graph: Graph) -> None:
    try:
        check_reachable(graph)
    except InvalidJob as refused:
        if "never runs" not in str(refused):
            return
        never = int((refused.field or "").removeprefix("nodes[").partition("]")[0])
    else:
        return
    # Where one fails that fails the workflow, nothing starts any more that did not before.
    ends = [(NodeState.SUCCEEDED, NodeState.FAILED)[: 1 + (each.on_failure != "fail")] for each in graph.nodes]
    for assignment in itertools.product(*ends):
        assert expected(graph, dict(enumerate(assignment)), {})[never] is NodeState.SKIPPED
