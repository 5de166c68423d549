"""The states of a node and of a whole workflow, and what the ends of nodes mean for those that wait for them."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final, Literal

from ironforge.workflows.definition import EdgeWhen, Node
from ironforge.workflows.graph import Need

WorkflowStatus = Literal["running", "paused", "completed", "failed", "cancelled"]


class NodeState(enum.StrEnum):
    """`ready`: it may start, and its job is not submitted yet; `running`: its job is there, wherever that is."""

    PENDING = "pending"
    READY = "ready"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def has_ended(self) -> bool:
        return not TRANSITIONS[self]


# All but a retry, or a fork, which have nodes begin anew.
TRANSITIONS: Final[dict[NodeState, frozenset[NodeState]]] = {
    NodeState.PENDING: frozenset({NodeState.READY, NodeState.SKIPPED, NodeState.CANCELLED}),
    NodeState.READY: frozenset({NodeState.RUNNING, NodeState.CANCELLED}),
    NodeState.RUNNING: frozenset({NodeState.SUCCEEDED, NodeState.FAILED, NodeState.CANCELLED}),
    NodeState.SUCCEEDED: frozenset(),
    NodeState.FAILED: frozenset(),
    NodeState.CANCELLED: frozenset(),
    NodeState.SKIPPED: frozenset(),
}
# Of a node that did not do what it was to: it gave up, was cancelled or expired.
FAILURES: Final = frozenset({NodeState.FAILED, NodeState.CANCELLED})


def meets(when: EdgeWhen, end: NodeState) -> bool:
    """Whether a node that ended so fulfils the condition of an edge."""
    match when:
        case "succeeded":
            return end is NodeState.SUCCEEDED
        case "failed":
            return end in FAILURES
    return True


def is_as_good(node: Node, end: NodeState) -> bool:
    """As a success, for those that wait for `all_succeeded`."""
    return end is NodeState.SUCCEEDED or (end in FAILURES and node.on_failure == "continue")


def starts(node: Node, needs: Sequence[Need], nodes: Sequence[Node], ends: Sequence[NodeState]) -> bool:
    """Whether a node whose needs have all ended starts; else it is skipped. `nodes` and `ends` by number."""
    if not all(meets(need.when, ends[need.node]) for need in needs if need.when):
        return False
    plain = [need.node for need in needs if need.when is None]
    match node.when:
        case "all_succeeded":
            return all(is_as_good(nodes[number], ends[number]) for number in plain)
        case "any_failed":
            return any(ends[number] in FAILURES for number in plain)
    return True
