"""A workflow that has ended goes on: from the nodes that failed, or as another one with a part of its results."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ironforge.errors import InvalidState
from ironforge.workflows.checks import check_workflow
from ironforge.workflows.compensation import Compensation
from ironforge.workflows.definition import Node, Workflow
from ironforge.workflows.graph import Graph, graph_of
from ironforge.workflows.progress import Progress
from ironforge.workflows.states import NodeState, WorkflowStatus, is_as_good


def retried(progress: Progress) -> Progress:
    """The same from the nodes that failed, were cancelled or have been undone, and all that waits for these. What has
    succeeded beside them, and what was skipped there, stays as it is; where that is all of a cancelled one, it
    completes. Raises InvalidState."""
    _check_over(progress, "retried")
    if progress.outcome == "completed":
        raise InvalidState(
            "the workflow has completed: there is nothing to retry; fork it instead", workflow_status="completed"
        )
    again = _anew(progress, _unfinished(progress))
    kept = [number for number in progress.compensation.succeeded if number not in again]
    compensation = Compensation(progress.graph.nodes, kept)
    return Progress(progress.graph, _without(progress, again), compensation=compensation)


def forked(progress: Progress, name: str | None, graph: Graph) -> Progress:
    """Of another workflow with this graph, which is that of `progress` but for payloads: this node runs, if one is
    named, with all that waits for it, and what would be retried. The others keep their ends and their results, and are
    not undone by it: they ran for the other workflow. Raises InvalidState."""
    _check_over(progress, "forked")
    chosen = {graph.numbers[name]} if name else set()
    again = _anew(progress, chosen | _unfinished(progress))
    if not again:
        why = "the workflow has completed: name the node from which the fork is to run"
        raise InvalidState(why, workflow_status="completed")
    return Progress(graph, _without(progress, again))


def edited(workflow: Workflow, name: str, payload: bytes | None) -> tuple[Workflow, Graph]:
    """The document of a fork from the node of this name. `payload`: as JSON; None: as it was. Raises InvalidJob."""
    graph = graph_of(workflow)
    number = graph.numbers.get(name)
    if number is None:
        raise graph.unknown(name, "node")
    if payload is None:
        return workflow, graph
    node = msgspec.structs.replace(workflow.nodes[number], payload=msgspec.Raw(payload))
    nodes = (*workflow.nodes[:number], node, *workflow.nodes[number + 1 :])
    made = msgspec.structs.replace(workflow, nodes=nodes)
    return made, check_workflow(made)


def not_over(status: WorkflowStatus, what: str) -> InvalidState:
    """How it is refused that a workflow is `retried` or `forked` which has not ended."""
    return InvalidState(
        f"the workflow is {status}: it can be {what} once it has ended; cancel it, or wait for it",
        workflow_status=status,
    )


def _check_over(progress: Progress, what: str) -> None:
    if progress.status in ("running", "paused"):
        raise not_over(progress.status, what)


def _unfinished(progress: Progress) -> set[int]:
    """What is to be done again however it came about."""
    states = enumerate(zip(progress.graph.nodes, progress.states, strict=True))
    found = {number for number, (node, state) in states if state is NodeState.CANCELLED or _has_failed(node, state)}
    return found | progress.compensation.undone.keys()


def _has_failed(node: Node, state: NodeState) -> bool:
    return state is NodeState.FAILED and not is_as_good(node, state)


def _anew(progress: Progress, numbers: Iterable[int]) -> set[int]:
    chosen = {*numbers}
    return chosen | progress.graph.downstream(chosen)


def _without(progress: Progress, again: set[int]) -> list[NodeState]:
    states = enumerate(progress.states)
    return [NodeState.PENDING if number in again else state for number, state in states]
