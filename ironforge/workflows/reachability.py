"""Whether each node of a workflow may come to run, and what its conditions say makes a difference."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from ironforge.workflows.errors import wrong
from ironforge.workflows.graph import Graph, Need
from ironforge.workflows.requirements import check_requirements
from ironforge.workflows.states import NodeState, is_as_good, meets

_MAY_FAIL: Final = "continue or skip_dependents"


def check_reachable(graph: Graph) -> None:
    """How a node ends is told from how those may end that it waits for: of a node that fails the workflow, the ends
    after which something can start. Raises InvalidJob for a node that never runs, and for a condition without effect.
    """
    if not any(_has_conditions(graph, number) for number in range(len(graph))):  # as most are
        return
    ends: list[frozenset[NodeState]] = [frozenset()] * len(graph)
    for number in graph.order:
        _check_conditions(graph, number, ends)
        found = {NodeState.SUCCEEDED}
        if graph.nodes[number].on_failure != "fail":
            found.add(NodeState.FAILED)
        if _may_be_skipped(graph, number, ends):
            found.add(NodeState.SKIPPED)
        ends[number] = frozenset(found)
    check_requirements(graph)


def _has_conditions(graph: Graph, number: int) -> bool:
    return graph.nodes[number].when != "all_succeeded" or any(need.when for need in graph.needs[number])


def _check_conditions(graph: Graph, number: int, ends: list[frozenset[NodeState]]) -> None:
    node, needs = graph.nodes[number], graph.needs[number]
    plain = [need.node for need in needs if need.when is None]
    for place, need in enumerate(needs):
        if need.when:
            _check_edge(graph, f"nodes[{number}].after[{place}].when", need, ends[need.node])
    if node.when == "all_succeeded":
        return
    field = f"nodes[{number}].when"
    if not plain:
        why = "each node in after has a condition of its own" if needs else "it waits for no node"
        raise wrong(field, why, "leave it out, or name in after what it is about")
    names = ", ".join(repr(graph.nodes[each].id) for each in plain[:3]) + ("…" if len(plain) > 3 else "")
    if node.when == "any_failed" and not any(NodeState.FAILED in ends[each] for each in plain):
        why = f"it never runs: when one of {names} fails, so does the workflow, and nothing starts any more"
        raise wrong(field, why, f"give one of these on_failure {_MAY_FAIL}")
    if node.when == "all_done" and all(ends[each] == {NodeState.SUCCEEDED} for each in plain):
        why = f"it is the same as all_succeeded: when one of {names} fails, so does the workflow, and nothing starts"
        raise wrong(field, why, f"give one of these on_failure {_MAY_FAIL}, or leave it out")


def _check_edge(graph: Graph, field: str, need: Need, ends: AbstractSet[NodeState]) -> None:
    name = graph.nodes[need.node].id
    if need.when == "failed" and NodeState.FAILED not in ends:
        why = f"it never runs: when {name!r} fails, so does the workflow, and nothing starts any more"
        raise wrong(field, why, f"give {name!r} on_failure {_MAY_FAIL}")
    if need.when == "done" and ends == {NodeState.SUCCEEDED}:
        why = f"it is the same as succeeded: when {name!r} fails, so does the workflow, and nothing starts any more"
        raise wrong(field, why, f"give {name!r} on_failure {_MAY_FAIL}, or write succeeded")


def _may_be_skipped(graph: Graph, number: int, ends: list[frozenset[NodeState]]) -> bool:
    needs, when = graph.needs[number], graph.nodes[number].when
    for need in needs:
        if need.when:
            may = any(not meets(need.when, end) for end in ends[need.node])
        else:
            may = when == "all_succeeded" and any(
                not is_as_good(graph.nodes[need.node], end) for end in ends[need.node]
            )
        if may:
            return True
    # Of some that may fail, none does.
    return when == "any_failed"
