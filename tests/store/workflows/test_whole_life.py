"""Workflows in a store over several generations, undoing between them, do what the pure classes say."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from ironforge.errors import InvalidState
from ironforge.job.record import new_id
from ironforge.store.workflows.contract import Fork
from ironforge.workflows.again import forked, retried
from ironforge.workflows.graph import Graph
from ironforge.workflows.program import roots_of
from ironforge.workflows.progress import Progress
from tests.store.kit import Cluster
from tests.store.workflows.flow import Flow, begun, prepared
from tests.store.workflows.test_beside_progress import _HOW, Beside, _few, states_of
from tests.workflows.runs import ENDS, graphs

GENERATIONS = 3


class Life(Beside):
    """`results` of the nodes that have succeeded: each run of a node has another."""

    def __init__(self, flow: Flow, graph: Graph, data: st.DataObject) -> None:
        super().__init__(flow, graph, data)
        self.runs = 0

    async def undo(self) -> None:
        """What is to be undone then, and its end."""
        progress, flow = self.progress, self.flow
        await flow.settle()
        # Without anything to undo it has ended.
        if progress.status == "paused":
            assert (await flow.view()).status == "paused"
            progress.resume()
            await flow.cluster.store_client.workflows.resume(flow.id)
            await flow.settle()
        while (number := progress.to_undo) is not None:
            assert (await flow.view()).status == "running"
            progress.compensation.start(number)
            name = progress.graph.nodes[number].id
            undo = await flow.undoing()
            assert undo.parent is not None
            assert undo.parent.node == name
            how = self.data.draw(st.sampled_from(ENDS))
            await flow.undo(name, how=_HOW[how])
            progress.compensation.end(number, how)
            self._repeat()
            await flow.settle()
        assert [name for name in flow.deliveries if name.startswith("undo ")] == []
        assert (await flow.view()).status == progress.status

    async def retry(self) -> bool:
        """Whether it goes on."""
        workflows = self.flow.cluster.store_client.workflows
        try:
            self.progress = retried(self.progress)
        except InvalidState:
            try:
                await workflows.retry(self.flow.id)
            except InvalidState:
                return False
            raise AssertionError("a completed workflow was retried") from None
        await workflows.retry(self.flow.id)
        return True

    async def fork(self) -> Life:
        """Another one, from some node on."""
        graph = self.progress.graph
        name = graph.nodes[self.data.draw(st.integers(0, len(graph) - 1))].id
        asked = Fork(new_id(self.flow.id[-1]), name)
        store_client = self.flow.cluster.store_client
        await store_client.workflows.fork(self.flow.id, asked, lambda document, _: prepared(document, graph))
        other = Life(Flow.of(self.flow.cluster, self.flow.node, asked.id), graph, self.data)
        other.progress = forked(self.progress, name, graph)
        return other


async def live(life: Life) -> None:
    for _ in range(GENERATIONS):
        await life.to_its_end()
        await life.undo()
        assert states_of(life.flow.progress) == life.progress.states
        if not await life.retry():
            break
    else:
        await life.to_its_end()
        await life.undo()


@_few
@given(graph=graphs(6), data=st.data())
def test_several_lives_of_a_workflow(server: str, graph: Graph, data: Any) -> None:
    # A door refuses a node that waits for nothing and never runs.
    assume(Progress(graph).ready == roots_of(graph))

    async def run() -> None:
        cluster = Cluster(server)
        try:
            life = Life(await begun(cluster, graph, await cluster.node()), graph, data)
            await live(life)
            other = await life.fork()
            await live(other)
            assert states_of(life.flow.progress) == life.progress.states
        finally:
            await cluster.close()

    asyncio.run(run())
