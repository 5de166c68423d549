"""Each key that is asked for when workflows are steered, and their nodes submitted and cancelled, with something of
another type in its place: once it is back, all comes to the same end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from ironforge.errors import StoreError
from tests.store.kit import Cluster
from tests.store.spoiling.test_wrong_types import put_right, spoil
from tests.store.spoiling.world import World
from tests.store.workflows.flow import Flow, submitted
from tests.workflows.documents import node

Act = Callable[[Flow], Awaitable[object]]
LIMITED = {"limits": [{"name": "one", "key": "a"}]}
LATER = {"delay_seconds": 3600}


async def begun(cluster: Cluster, what: str) -> tuple[World, Flow, Act]:
    """A workflow, and what is to be done then. Nodes that run, wait in a queue, are delayed, and are about to start."""
    world = World(cluster)
    await world.begin()
    flow = await submitted(
        cluster, node("a"), node("b", options=LATER), node("c", "a", options=LIMITED), node("d", "a"), node=world.node
    )
    await flow.started()
    workflows = cluster.store_client.workflows
    if what in ("pause", "cancel"):
        return world, flow, lambda flow: getattr(workflows, what)(flow.id)  # type: ignore[no-any-return]
    if what == "resume":
        await workflows.pause(flow.id)
        await flow.end("a")
        return world, flow, lambda flow: workflows.resume(flow.id)
    if what == "stop":
        await workflows.cancel(flow.id)
    else:
        await flow.end("a", move=False)
    # Nodes do it, and say what is wrong in their logs.
    return world, flow, Flow.try_once


async def to_its_end(flow: Flow, what: str) -> dict[str, str]:
    workflows = flow.cluster.store_client.workflows
    if what == "pause":
        assert (await flow.view()).status == "paused"
        await workflows.resume(flow.id)
    ready, raw, work = flow.keys.ready, flow.cluster.raw, flow.node.work
    for _ in range(6):
        # What was put off is looked at.
        for times in (ready, flow.keys.dueroom):
            for item in raw.zrange(times, 0, -1):
                raw.zadd(times, {item: 1})
        await flow.see_to()
        flow.cluster.ripen()
        await work.promote()
        work.reader.selector.look_again()  # type: ignore[attr-defined]
        names = [*await flow.started(), *flow.deliveries]
        for name in dict.fromkeys(names):
            await flow.end(name, how="cancelled" if what in ("cancel", "stop") else "completed")
    assert await flow.node.work.audit_workflows() == 0
    view = await flow.view()
    return {"": view.status, **{node.id: node.state.value for node in view.nodes}}


ENDS = {"": "completed", **dict.fromkeys("abcd", "succeeded")}
CANCELLED = dict.fromkeys(("", *"abcd"), "cancelled")


@pytest.mark.parametrize("what", ["pause", "resume", "cancel", "stop", "move on"])
async def test_all_comes_to_the_same_end(server: str, what: str) -> None:
    cluster = Cluster(server)
    world, flow, act = await begun(cluster, what)
    places = [place for place in await world.touched_by(lambda: act(flow)) if world.keys.spec_of(world.key(place))]
    expected = CANCELLED if what in ("cancel", "stop") else ENDS
    assert await to_its_end(flow, what) == expected
    for place in [place.replace(flow.id.hex(), "<flow>") for place in places]:
        await cluster.close()
        cluster = Cluster(server)
        world, flow, act = await begun(cluster, what)
        key = world.key(place.replace("<flow>", flow.id.hex()))
        text = spoil(world, key)
        try:
            await act(flow)
            how = "works"
        except StoreError:
            how = "refused"
        assert world.raw.dump(key) == text, f"what stood at {place} is written over"
        put_right(world, key, how)
        if how == "refused":
            await act(flow)
        assert await to_its_end(flow, what) == expected, place
    await cluster.close()


@pytest.mark.parametrize("part", ["graph", "progress", "order"])
async def test_a_workflow_goes_on_once_its_own_keys_are_back(cluster: Cluster, part: str) -> None:
    """Nothing of it is lost meanwhile, and others go on."""
    flow = await submitted(cluster, node("a", compensate="undo"), node("b", "a"))
    await flow.started()
    key, aside = getattr(flow.keys, part)(flow.id.hex()), flow.keys.prefix + "aside"
    if cluster.raw.exists(key):
        cluster.raw.rename(key, aside)
    cluster.raw.set(key, "x") if part == "graph" else cluster.raw.hset(key, "x", "y")
    await flow.end("a", move=False)
    await flow.try_once()
    other = await submitted(cluster, node("c"), node=flow.node)
    await other.try_once()
    assert await other.states() == {"c": "running"}
    assert await flow.node.work.audit_workflows() == 0
    cluster.raw.delete(key)
    if cluster.raw.exists(aside):
        cluster.raw.rename(aside, key)
    for item in flow.items():
        cluster.raw.zadd(flow.keys.advance, {item: 1})
    assert "b" in await flow.started()
    assert await flow.states() == {"a": "succeeded", "b": "running"}
    assert cluster.raw.exists(flow.keys.quarantine) == 0
