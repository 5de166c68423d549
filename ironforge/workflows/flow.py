"""Parts of a workflow while Python puts it together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ironforge.workflows.definition import EdgeWhen


class Placeholder:
    """In a payload, what stands there when the node starts. `[…]` is a part of it: a member, or an element by its
    number."""

    def __init__(self, source: FlowNode | None, path: tuple[str, ...] = ()) -> None:
        self.source = source
        self.path = path

    def __getitem__(self, step: str | int) -> Placeholder:
        """Raises ValueError for a part that has no name in a document."""
        if step == "" or {".", "["} & {*str(step)} or (isinstance(step, int) and step < 0):
            raise ValueError(f"no part {step!r} can be referred to: take the whole, and this part of it in the handler")
        return Placeholder(self.source, (*self.path, str(step)))

    def __iter__(self) -> Iterator[Placeholder]:
        raise TypeError("how many parts a result has is known when the node has ended: map_over has a job for each")

    def text(self, ids: Mapping[FlowNode, str]) -> str:
        return ".".join(self.path if self.source is None else (f"{ids[self.source]}.result", *self.path))


class Literal(NamedTuple):
    """A part of a payload that is left as it is, whatever is in it."""

    value: object


class Flow:
    """Nodes, with those that start and those that end it. `edges`: who waits for whom beside `after`."""

    def __init__(
        self,
        nodes: Sequence[FlowNode],
        first: Sequence[FlowNode],
        last: Sequence[FlowNode],
        edges: Sequence[tuple[FlowNode, FlowNode]] = (),
    ) -> None:
        self.nodes = tuple(nodes)
        self.first = tuple(first)
        self.last = tuple(last)
        self.edges = tuple(edges)


class Condition(NamedTuple):
    """A node to wait for, and how it has to end."""

    node: FlowNode
    when: EdgeWhen


class FlowNode(Flow):
    """A job of a workflow, as `node` and `map_over` make it."""

    def __init__(self, said: Mapping[str, Any], payload: object, after: Sequence[Flow | Condition]) -> None:
        super().__init__((self,), (self,), (self,))
        self.said = said
        self.payload = payload
        self.after = tuple(after)

    @property
    def result(self) -> Placeholder:
        """What it returns, for the payload of another node, or to map over."""
        return Placeholder(self)

    @property
    def succeeded(self) -> Condition:
        """For `after`: it has, whatever its `on_failure` says."""
        return Condition(self, "succeeded")

    @property
    def done(self) -> Condition:
        """For `after`: it has ended in any way, or was skipped."""
        return Condition(self, "done")

    @property
    def failed(self) -> Condition:
        """For `after`: it gave up, was cancelled or expired."""
        return Condition(self, "failed")
