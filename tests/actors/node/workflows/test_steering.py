"""Workflows that are paused, cancelled and stopped while nodes work on them."""

from __future__ import annotations

from typing import Any

from ironforge.job.limits import Limit
from tests.actors.node.kit import Gate, World, until
from tests.store.workflows.flow import submission
from tests.workflows.documents import node, workflow


class Steered:
    """A workflow of a world."""

    def __init__(self, world: World, *nodes: dict[str, Any]) -> None:
        self.one = submission(workflow(*nodes))
        self.workflows = world.cluster.store_client.workflows

    async def begin(self) -> None:
        await self.workflows.submit([self.one])

    async def states(self) -> dict[str, str]:
        return {each.id: each.state.value for each in (await self.workflows.view(self.one.id)).nodes}

    async def reached(self, status: str) -> None:
        async def is_there() -> bool:
            return (await self.workflows.view(self.one.id)).status == status

        await until(is_there, f"the workflow to be {status}")


def does(name: str, *after: str, kind: str = "note", **more: Any) -> dict[str, Any]:
    return {**node(name, *after, **more), "kind": kind, "payload": name}


async def test_what_runs_is_stopped_when_its_workflow_is_cancelled(world: World) -> None:
    gate = Gate()

    @world.forge.job("long")
    async def long(payload: Any) -> None:
        await gate.pass_through(payload)

    flow = Steered(world, does("a", kind="long"), does("b", options={"delay_seconds": 60}), does("c", "a"))
    async with world.node():
        await flow.begin()
        await until(lambda: gate.entered, "the node to run")
        await flow.workflows.cancel(flow.one.id)
        await flow.reached("cancelled")
    assert gate.cancelled == ["a"]
    assert await flow.states() == {"a": "cancelled", "b": "cancelled", "c": "cancelled"}
    assert world.ran == []


async def test_what_has_not_started_is_cancelled_when_a_node_fails(world: World) -> None:
    @world.forge.job("fails", max_retries=0)
    async def fails(payload: Any) -> None:
        raise ValueError(payload)

    flow = Steered(world, does("a", kind="fails"), does("b", options={"delay_seconds": 60}), does("c", "a"))
    async with world.node():
        await flow.begin()
        await flow.reached("failed")
    assert await flow.states() == {"a": "failed", "b": "cancelled", "c": "cancelled"}


async def test_a_paused_workflow_goes_on_where_it_was(world: World) -> None:
    gate = Gate()

    @world.forge.job("long")
    async def long(payload: Any) -> None:
        await gate.pass_through(payload)

    flow = Steered(world, does("a", kind="long"), does("b", "a"), does("c", "a", options={"delay_seconds": 0.001}))
    async with world.node():
        await flow.begin()
        await until(lambda: gate.entered, "the node to run")
        await flow.workflows.pause(flow.one.id)
        gate.open()

        async def is_ready() -> bool:
            return set((await flow.states()).values()) == {"succeeded", "ready"}

        await until(is_ready, "what is next to be ready")
        assert world.ran == []
        await flow.workflows.resume(flow.one.id)
        await flow.reached("completed")
    assert sorted(world.ran) == ["b", "c"]


async def test_nodes_of_several_workflows_share_a_limit(world: World) -> None:
    """Wherever it is, and with all that one job may have beside it."""
    at_once = most = 0

    @world.forge.job("counted")
    async def counted(payload: Any) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        world.ran.append(payload)
        at_once -= 1

    await world.cluster.store_client.limits.put("one", Limit(concurrency=1))
    options = {"limits": [{"name": "one", "key": "shared"}], "expires_in_seconds": 600, "priority": "high"}
    nodes = [does(f"n{number}", kind="counted", options=options) for number in range(5)]
    flows = [Steered(world, *nodes, does("last", *(f"n{number}" for number in range(5)))) for _ in range(3)]
    async with world.node():
        for flow in flows:
            await flow.begin()
        for flow in flows:
            await flow.reached("completed")
    assert (len(world.ran), most) == (18, 1)
