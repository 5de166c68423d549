"""What a workflow submits beside its nodes: the jobs that undo these, and the one that tells how it has ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from ironforge.job.checks import MAX_PAYLOAD_BYTES
from ironforge.steps.waits import ParentRef
from ironforge.workflows.definition import MAX_NODES, Node
from ironforge.workflows.payloads import RESULT
from ironforge.workflows.progress import Outcome, Progress
from ironforge.workflows.states import FAILURES, NodeState, is_as_good

# Of a larger workflow a callback gets how many nodes ended how.
MOST_NODES_TOLD: Final = 1_000
# Of what undoes a node, all but the payload and the result of that.
_AROUND_BYTES: Final = 4_096
# Named in a reason.
_NAMED: Final = 5

_encode: Final = msgspec.json.Encoder().encode


def most_bytes_of(parent: ParentRef | None) -> int:
    """How large the payload of a node's job may be as its handler gets it. What undoes a node gets what that had and
    what it returned, as large as they were."""
    undoes = parent is not None and parent.is_workflow and parent.index >= MAX_NODES
    return 2 * MAX_PAYLOAD_BYTES + _AROUND_BYTES if undoes else MAX_PAYLOAD_BYTES


def undo_payload(workflow_id: str, node: Node) -> bytes:
    """What the `compensate` of a node gets. What the node returned, and what its own payload refers to, is filled in as
    the job starts. The jobs of a map had a payload each, and none is given."""
    payload = node.payload if node.map is None else msgspec.Raw(b"null")
    result = {RESULT: f"{node.id}.result"}
    return _encode({"workflow": workflow_id, "node": node.id, "payload": payload, "result": result})


def callback_payload(
    workflow_id: str, name: str, status: Outcome, nodes: Sequence[Node] = (), states: Sequence[NodeState] = ()
) -> bytes:
    """What `on_success` and `on_failure` get. `states` of the nodes, by number."""
    said: dict[str, object] = {"workflow": workflow_id, "name": name, "status": status}
    if len(nodes) <= MOST_NODES_TOLD:
        said["nodes"] = {node.id: state for node, state in zip(nodes, states, strict=True)}
    else:
        said["counts"] = {state: states.count(state) for state in NodeState if state in states}
    return _encode(said)


def reason_of(progress: Progress) -> str:
    """Why it did not complete, naming nodes; empty where it did."""
    outcome, nodes = progress.outcome, progress.graph.nodes
    if outcome in (None, "completed"):
        return ""
    of_note = [
        (node.id, state)
        for node, state in zip(nodes, progress.states, strict=True)
        if state in FAILURES and not is_as_good(node, state)
    ]
    failed = [name for name, state in of_note if state is NodeState.FAILED]
    words = []
    if failed:
        words.append(f"{_named(failed)} failed")
    elif outcome == "failed":
        words.append(f"{_named([name for name, _ in of_note])} {'were' if of_note[1:] else 'was'} cancelled")
    undone = progress.compensation.undone.items()
    if stuck := [nodes[number].id for number, state in undone if state in FAILURES]:
        words.append(f"{_named(stuck)} could not be undone")
    return ", ".join(words)


def _named(names: Iterable[str]) -> str:
    all_names = [*names]
    more = len(all_names) - _NAMED
    shown = ", ".join(all_names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"{'nodes' if len(all_names) > 1 else 'node'} {shown}"
