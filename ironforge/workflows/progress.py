"""How far a workflow is: which of its nodes may start, and what becomes of the others when one ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from ironforge.workflows.compensation import Compensation
from ironforge.workflows.graph import Graph
from ironforge.workflows.states import FAILURES, TRANSITIONS, NodeState, WorkflowStatus, is_as_good, starts

Outcome = Literal["completed", "failed", "cancelled"]


class Progress:
    """`states`: of the nodes, by number. `stopped`: nothing of it starts any more, and it is to end so. `compensation`:
    of the nodes that it is to undo if it fails.

    Whatever happens, it ends when each node that was started has: what waits for others waits for nothing else.
    """

    def __init__(
        self,
        graph: Graph,
        states: Sequence[NodeState] = (),
        *,
        compensation: Compensation | None = None,
        stopped: Literal["", "failed", "cancelled"] = "",
        paused: bool = False,
    ) -> None:
        """Without `states`, none has begun."""
        self.graph = graph
        self.states = list(states) or [NodeState.PENDING] * len(graph)
        self.compensation = compensation or Compensation(graph.nodes)
        self.stopped: Literal["", "failed", "cancelled"] = stopped
        self.paused = paused
        ended = [state.has_ended for state in self.states]
        self._waits_for = [sum(not ended[need.node] for need in needs) for needs in graph.needs]
        self._ready = {number: None for number, state in enumerate(self.states) if state is NodeState.READY}
        self._left = ended.count(False)
        self._decide(number for number in graph.order if self.states[number] is NodeState.PENDING)

    @property
    def ready(self) -> list[int]:
        """The nodes that may start now."""
        return [] if self.paused else [*self._ready]

    @property
    def outcome(self) -> Outcome | None:
        """How it ends; None while a node has not ended."""
        if self._left:
            return None
        if self.stopped:
            return self.stopped
        states = zip(self.graph.nodes, self.states, strict=True)
        failed = any(state in FAILURES and not is_as_good(node, state) for node, state in states)
        return "failed" if failed else "completed"

    @property
    def status(self) -> WorkflowStatus:
        outcome = self.outcome
        if outcome is None or (outcome != "completed" and self.compensation.is_open):
            return "paused" if self.paused else "running"
        return outcome

    @property
    def to_undo(self) -> int | None:
        """The node whose `compensate` is to run now."""
        return None if self.paused or self.outcome in (None, "completed") else self.compensation.next

    def start(self, number: int) -> None:
        """Its job is submitted."""
        self._move(number, NodeState.RUNNING)

    def end(self, number: int, how: NodeState) -> None:
        """Its job has `succeeded`, `failed` or was `cancelled`, by whomever."""
        self._move(number, how)
        if how is NodeState.SUCCEEDED:
            self.compensation.succeeded.append(number)
        elif self.graph.nodes[number].on_failure == "fail" and not self.stopped:
            self._stop("failed")
        self._decide(self._freed_by(number))

    def cancel(self) -> None:
        """What runs is yet to end."""
        if self._left and not self.stopped:
            self._stop("cancelled")

    def pause(self) -> None:
        """What runs goes on, and nothing starts."""
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def _decide(self, numbers: Iterable[int]) -> None:
        """About those that wait for nothing any more; a node that is skipped may be the last that others wait for."""
        open_ = [number for number in numbers if not self._waits_for[number]]
        for number in open_:
            if self.states[number] is not NodeState.PENDING:
                continue
            if starts(self.graph.nodes[number], self.graph.needs[number], self.graph.nodes, self.states):
                self._move(number, NodeState.READY)
            else:
                self._move(number, NodeState.SKIPPED)
                open_ += self._freed_by(number)

    def _freed_by(self, number: int) -> list[int]:
        freed = []
        for dependant in self.graph.dependants[number]:
            self._waits_for[dependant] -= 1
            if not self._waits_for[dependant]:
                freed.append(dependant)
        return freed

    def _stop(self, how: Literal["failed", "cancelled"]) -> None:
        self.stopped = how
        for number, state in enumerate(self.states):
            if state in (NodeState.PENDING, NodeState.READY):
                self._move(number, NodeState.CANCELLED)

    def _move(self, number: int, to: NodeState) -> None:
        before = self.states[number]
        if to not in TRANSITIONS[before]:
            raise ValueError(f"node {self.graph.nodes[number].id!r} is {before}, and cannot become {to}")
        self.states[number] = to
        if to is NodeState.READY:
            self._ready[number] = None
        elif before is NodeState.READY:
            del self._ready[number]
        self._left -= to.has_ended
