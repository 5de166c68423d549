"""Workflows in a store do what their graph says, whatever is repeated on the way."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from ironforge.workflows.graph import Graph
from ironforge.workflows.program import HEAD, cells_of, decode_progress, roots_of
from ironforge.workflows.progress import Progress
from ironforge.workflows.states import NodeState
from tests.store.kit import Cluster, Node
from tests.store.workflows.flow import Flow, begun
from tests.workflows.runs import ENDS, graphs

_HOW = {NodeState.SUCCEEDED: "completed", NodeState.FAILED: "dead", NodeState.CANCELLED: "cancelled"}
# To shrink one takes minutes.
_few = settings(
    max_examples=max(10, settings.default.max_examples // 2),
    suppress_health_check=list(HealthCheck),
    phases=(Phase.reuse, Phase.generate),
)


class Beside:
    """Drives a workflow in the store and the graph by the same draws."""

    def __init__(self, flow: Flow, graph: Graph, data: st.DataObject) -> None:
        self.flow = flow
        self.data = data
        self.progress = Progress(graph)
        self.old: list[bytes] = []
        self.pauses = 0

    async def to_its_end(self) -> None:
        progress = self.progress
        await self._look()
        for _ in range(6 * len(progress.graph) + 10):
            if progress.outcome is not None:
                break
            await self._step()
            await self._look()
        head, _ = decode_progress(self.flow.progress)
        assert (head.left, head.stopped) == (0, progress.stopped)
        assert head.failed or progress.outcome in ("completed", "cancelled")

    async def _look(self) -> None:
        """What may start has, and only that; each node is as the graph says."""
        self._repeat()
        for name in await self.flow.started():
            self.progress.start(self.progress.graph.numbers[name])
        assert self.progress.ready == []
        assert states_of(self.flow.progress) == self.progress.states
        if not self.progress.stopped:
            assert self.flow.progress[HEAD.size :] == cells_of(self.progress)

    def _repeat(self) -> None:
        """Items come a second time, in front of those that come for the first time."""
        fresh = self.flow.items()
        for item in self.old:
            if item not in fresh and self.data.draw(st.booleans()):
                self.flow.cluster.raw.zadd(self.flow.keys.advance, {item: 1})
        self.old += fresh

    async def _step(self) -> None:
        progress, workflows = self.progress, self.flow.cluster.store_client.workflows
        running = [number for number, state in enumerate(progress.states) if state is NodeState.RUNNING]
        steer = self.data.draw(st.integers(0, 9))
        if progress.paused and (not running or steer < 5):
            await workflows.resume(self.flow.id)
            progress.resume()
        elif steer == 9 and self.pauses < 3:
            self.pauses += 1
            await workflows.pause(self.flow.id)
            progress.pause()
        elif steer == 8:
            await workflows.cancel(self.flow.id)
            progress.cancel()
        elif running:
            # Some at once, so that one call has several ends of a workflow.
            chosen = self.data.draw(st.lists(st.sampled_from(running), unique=True, min_size=1, max_size=3))
            # What is told to stop ends as cancelled where it does not succeed.
            ends = [end for end in ENDS if end is not NodeState.FAILED or progress.stopped != "cancelled"]
            how = {number: self.data.draw(st.sampled_from(ends)) for number in chosen}
            for number in chosen:
                await self.flow.end(progress.graph.nodes[number].id, how=_HOW[how[number]], move=False)
            # Of those in one millisecond any may be the first.
            for item in self.flow.items():
                number = int(item[17:].partition(b".")[0])
                progress.end(number, how[number])


def states_of(stored: bytes) -> list[NodeState]:
    return decode_progress(stored)[1]


def drive(server: str, graph: Graph, data: st.DataObject) -> None:
    # A door refuses a node that waits for nothing and never runs.
    assume(Progress(graph).ready == roots_of(graph))

    async def run() -> None:
        cluster = Cluster(server)
        try:
            node: Node = await cluster.node()
            await Beside(await begun(cluster, graph, node), graph, data).to_its_end()
        finally:
            await cluster.close()

    asyncio.run(run())


@_few
@given(graph=graphs(), data=st.data())
def test_a_workflow_goes_as_its_graph_says(server: str, graph: Graph, data: Any) -> None:
    drive(server, graph, data)
