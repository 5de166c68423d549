"""What job a node of a workflow is: its kind, its payload and its options as it is submitted."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from ironforge.workflows.definition import Node, NodeOptions, Workflow
from ironforge.workflows.graph import Graph
from ironforge.workflows.payloads import ITEM, parse_reference, resolved, words_in

# Every node of an installation runs jobs of this kind, which submit those of the items and wait for them.
MAP_KIND: Final = "ironforge.map"
# Of these, in the journal of such a job.
ITEMS_STEP: Final = "items"
_NOTHING: Final = b"null"
_ITEM_AS_SUCH: Final = msgspec.Raw(b'{"%s":""}' % ITEM.encode())
# Of a map: what is of the jobs of its items alone; and of what is given, what is of its own job alone.
_OF_ITEMS: Final = ("max_retries", "timeout_seconds", "unique", "limits")
_OF_MAP: Final = ("delay_seconds", "run_at")


class MapPayload(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The payload of a job of MAP_KIND: a job of `kind` for each item of `over`, with these options. In `payload` are
    words yet. `max_parallel`: how many of them there are at once; None: all. `needed`: its result has to be there, else
    it is null where it would be too large."""

    kind: str
    over: str
    payload: msgspec.Raw
    max_parallel: int | None = None
    options: NodeOptions | None = None
    needed: bool = True


class NodeJob(NamedTuple):
    """`references`: ids of the nodes whose results it is to get, each once; where there are none, the payload is what
    the handler gets, unless the node is a map."""

    kind: str
    payload: bytes
    options: NodeOptions
    references: tuple[str, ...]


def jobs_of(workflow: Workflow, graph: Graph) -> list[NodeJob]:
    """Of all nodes, by number, of a workflow that was checked."""
    return [
        job_of(workflow, node, needed=node.map is None or graph.is_needed(number))
        for number, node in enumerate(graph.nodes)
    ]


def job_of(workflow: Workflow, node: Node, *, needed: bool = True) -> NodeJob:
    """Of a workflow that was checked. `needed`: whether something is to get the result of the node."""
    payload, options = bytes(node.payload), workflow.options_of(node)
    found = [reference.node for _, reference in words_in(payload).results]
    if node.map is None:
        references = tuple(dict.fromkeys(found))
        return NodeJob(node.kind, payload if references else resolved(payload, {}), options, references)
    found.append(parse_reference(node.map.over, "map.over").node)
    template = _ITEM_AS_SUCH if payload == _NOTHING else node.payload
    made = MapPayload(
        kind=node.kind,
        over=node.map.over,
        payload=template,
        max_parallel=node.map.max_parallel,
        options=_without(options, _OF_MAP),
        needed=needed,
    )
    return NodeJob(MAP_KIND, msgspec.json.encode(made), _without(options, _OF_ITEMS), tuple(dict.fromkeys(found)))


def _without(options: NodeOptions, names: tuple[str, ...]) -> NodeOptions:
    return msgspec.structs.replace(options, **dict.fromkeys(names))
