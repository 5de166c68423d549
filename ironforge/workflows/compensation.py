"""What undoes the nodes that succeeded, of a workflow that failed or was cancelled: one at a time, the last first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ironforge.workflows.definition import Node
from ironforge.workflows.states import FAILURES, NodeState


class Compensation:
    """`succeeded`: the nodes by number, in the order in which they did; `undone`: how far their undoing is, where it
    has begun: it runs, has succeeded or failed."""

    def __init__(
        self, nodes: Sequence[Node], succeeded: Iterable[int] = (), undone: Mapping[int, NodeState] | None = None
    ) -> None:
        self._nodes = nodes
        self.succeeded = [*succeeded]
        self.undone = dict(undone or {})

    @property
    def is_open(self) -> bool:
        """Whether there is something that runs or is yet to run."""
        return NodeState.RUNNING in self.undone.values() or self.next is not None

    @property
    def next(self) -> int | None:
        """The node to undo now. None beyond one that could not be undone: what came before may need what it left."""
        if FAILURES & {*self.undone.values()} or NodeState.RUNNING in self.undone.values():
            return None
        left = (each for each in reversed(self.succeeded) if each not in self.undone and self._nodes[each].compensate)
        return next(left, None)

    def start(self, number: int) -> None:
        self.undone[number] = NodeState.RUNNING

    def end(self, number: int, how: NodeState) -> None:
        self.undone[number] = how


class Undoing(NamedTuple):
    """The same as the server has it: `order` in which nodes succeeded that have something to undo them; `last`: the one
    whose undoing was begun last, and `how` that has ended, None while it has not."""

    order: Sequence[int]
    last: int | None = None
    how: NodeState | None = None

    @property
    def is_open(self) -> bool:
        return (self.last is not None and self.how is None) or self.next is not None

    @property
    def next(self) -> int | None:
        """As `Compensation.next`."""
        left = self._left()
        return left[-1] if left and (self.last is None or self.how is NodeState.SUCCEEDED) else None

    @property
    def undone(self) -> dict[int, NodeState]:
        """As `Compensation.undone`: one at a time, so all but the last have succeeded."""
        if self.last is not None and self.last not in self.order:
            return {self.last: self.how or NodeState.RUNNING}
        begun = self.order[len(self._left()) :]
        found = dict.fromkeys(reversed(begun), NodeState.SUCCEEDED)
        if begun:
            found[begun[0]] = self.how or NodeState.RUNNING
        return found

    def _left(self) -> Sequence[int]:
        if self.last is None:
            return self.order
        # Where the order is damaged, what came before is not known.
        return self.order[: self.order.index(self.last)] if self.last in self.order else ()
