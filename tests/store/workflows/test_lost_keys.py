"""A key of workflows is lost at any time: what nodes find by it is put back, and each workflow ends."""

from __future__ import annotations

import pytest

from tests.store.kit import Cluster
from tests.store.workflows.flow import Flow, submitted
from tests.store.workflows.test_damage import looked_after
from tests.workflows.documents import node

SHARED = ("advance", "ready", "stopping", "finishing")
OWN = ("progress", "graph", "order", "results")
# How far it is then: nothing has begun, one runs, it has told of its end, others run, one was cancelled.
TIMES = range(5)


async def lose(cluster: Cluster, flow: Flow, name: str) -> None:
    keys = flow.keys
    cluster.raw.delete(getattr(keys, name) if name in SHARED else getattr(keys, name)(flow.id.hex()))


@pytest.mark.parametrize("name", [*SHARED, *OWN])
@pytest.mark.parametrize("at", TIMES)
async def test_it_ends(cluster: Cluster, name: str, at: int) -> None:
    flow = await submitted(
        cluster,
        node("a", compensate="undo"),
        node("b", "a", options={"priority": "high"}),
        node("c", "a"),
        node("d", "b", "c"),
    )
    for step in TIMES:
        if step == at:
            await lose(cluster, flow, name)
        match step:
            case 0:
                await flow.started()
            case 1 if flow.running:
                await flow.end(*flow.running, move=False)
            case 2:
                await flow.started()
            case 3 if flow.running:
                await flow.end(flow.running[0], how="dead", move=False)
    await to_its_end(cluster, flow)
    assert (await flow.view()).status in ("completed", "failed")
    assert (await cluster.store_client.workflows.page()).rows[0].status in ("completed", "failed")
    cluster.checked = False


async def to_its_end(cluster: Cluster, flow: Flow) -> None:
    for _ in range(12):
        await looked_after(flow)
        view = await flow.view()
        if view.status == "paused":
            await cluster.store_client.workflows.resume(flow.id)
        elif view.status != "running":
            return
        await flow.started()
        await flow.end(*flow.deliveries, move=False)
    raise AssertionError((view.status, view.nodes))
