"""What a workflow says: its nodes, each of them a job; which of these one waits for; and what becomes of the others
when one fails. As JSON it is the body of `POST /workflows`, and what is stored.

New fields go to the end with a default, so that documents of older versions can be read.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from ironforge.job.checks import MAX_PAYLOAD_BYTES, NAME_PATTERN
from ironforge.job.options import JobOptions, merge

MAX_NODES: Final = 10_000
# Of all nodes together: what is looked through when they end, and stored for it.
MAX_EDGES: Final = 100_000
MAX_ITEMS: Final = 100_000
MAX_PAYLOADS_BYTES: Final = 16 * MAX_PAYLOAD_BYTES
# JSON values of a document: the most nodes and edges, with what they carry.
MAX_DOCUMENT_VALUES: Final = 500_000

When = Literal["all_succeeded", "all_done", "any_failed"]
EdgeWhen = Literal["succeeded", "done", "failed"]
OnFailure = Literal["fail", "continue", "skip_dependents"]


def _name(description: str, *examples: str) -> Meta:
    return Meta(description=description, examples=list(examples) or None, extra_json_schema={"pattern": NAME_PATTERN})


class NodeOptions(JobOptions, omit_defaults=True):
    """As for `POST /jobs`. `delay_seconds` and `expires_in_seconds` count from when the node may start."""


class Edge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One node to wait for, with a condition of its own."""

    node: Annotated[str, Meta(description="id of the node to wait for")]
    when: Annotated[EdgeWhen, Meta(description="how that node has to end, whatever its own `on_failure` says")]


class Map(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One job for each item of a list. The node's result is the list of their results, in the order of the items."""

    over: Annotated[str, Meta(description="the list", examples=["fetch.result.items"])]
    max_parallel: Annotated[
        int | None,
        Meta(
            description="how many of these jobs are there at once; default: all",
            extra_json_schema={"minimum": 1, "maximum": MAX_ITEMS},
        ),
    ] = None


class Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A job of the workflow. It starts when all that it waits for has ended as it says, or else is skipped."""

    id: Annotated[str, _name("its name within the workflow; `.result` cannot be a part of it", "fetch")]
    kind: Annotated[str, _name("selects the handler", "file.fetch")]
    payload: Annotated[
        msgspec.Raw,
        Meta(
            description='any JSON value up to 1 MiB. In it, {"$result": "fetch.result.url"} stands for what an earlier '
            'node has returned, {"$item": "url"} in a map for its item, and {"$literal": …} for what is to be left as '
            "it is. A map without a payload has the item as such",
        ),
    ] = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))
    after: Annotated[
        tuple[str | Edge, ...], Meta(description="the nodes that it waits for: ids, or objects with their condition")
    ] = ()
    when: Annotated[
        When,
        Meta(
            description="of the nodes in `after` that have no condition of their own: each has succeeded, or failed "
            "and says `continue`; each has ended, or was skipped; one at least has failed"
        ),
    ] = "all_succeeded"
    on_failure: Annotated[
        OnFailure,
        Meta(
            description="when it gives up, is cancelled or expires. fail: what has not started is cancelled, and the "
            "workflow fails; continue: the workflow goes on as if it had succeeded, its result is null; "
            "skip_dependents: what needs it is skipped, and the workflow fails once all else has ended"
        ),
    ] = "fail"
    options: Annotated[NodeOptions | None, Meta(description="what is not given is as the workflow says")] = None
    map: Map | None = None
    compensate: Annotated[
        str | None,
        Meta(
            description="kind of a job that undoes it if the workflow fails or is cancelled after it; the node that "
            "succeeded last is undone first, one at a time",
            extra_json_schema={"pattern": NAME_PATTERN},
        ),
    ] = None


_NO_OPTIONS: Final = NodeOptions()


class Workflow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Jobs that depend on each other. It completes when all have ended and none failed for which it is to fail."""

    name: Annotated[str, _name("what it is called; many may have the same", "order.fulfil")]
    nodes: Annotated[tuple[Node, ...], Meta(description="in any order", extra_json_schema={"maxItems": MAX_NODES})]
    on_success: Annotated[str | None, _name("kind of a job that is submitted when the workflow has completed")] = None
    on_failure: Annotated[
        str | None, _name("kind of a job that is submitted when the workflow has failed, after what undoes its nodes")
    ] = None
    options: Annotated[
        NodeOptions | None, Meta(description="of all its jobs; without delay_seconds, run_at and unique")
    ] = None

    @property
    def payload_bytes(self) -> int:
        """Of all its nodes."""
        return sum(len(bytes(node.payload)) for node in self.nodes)

    def options_of(self, node: Node) -> NodeOptions:
        """Those that hold for it, without what its kind says."""
        given = node.options or _NO_OPTIONS
        return given if self.options is None else _merged(self.options, given)


def _merged(defaults: NodeOptions, given: NodeOptions) -> NodeOptions:
    made = merge(defaults, given)
    if made.fairness_key is None:
        made = msgspec.structs.replace(
            made, fairness_key=defaults.fairness_key, fairness_weight=given.fairness_weight or defaults.fairness_weight
        )
    return made


def id_of(edge: str | Edge) -> str:
    return edge if isinstance(edge, str) else edge.node
