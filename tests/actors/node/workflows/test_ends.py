"""How workflows end that whole nodes run: what undoes their nodes, who is told, and what a retry does again."""

from __future__ import annotations

from typing import Any

from ironforge.job.record import format_id
from tests.actors.node.kit import World
from tests.actors.node.workflows.kit import do, ended, json, submit, view
from tests.actors.node.workflows.test_maps import fetch, mapped
from tests.support.waiting import until
from tests.workflows.documents import result


async def test_what_succeeded_is_undone_and_who_is_to_be_told_is(world: World) -> None:
    undone: list[Any] = []
    told: list[Any] = []

    @world.forge.job("charge")
    async def charge(payload: Any) -> Any:
        return {"charged": payload}

    @world.forge.job("fail", max_retries=0)
    async def fail() -> None:
        raise ValueError("no")

    @world.forge.job("refund")
    async def refund(payload: Any) -> None:
        undone.append(payload)

    @world.forge.job("tell")
    async def tell(payload: Any) -> None:
        told.append(payload)

    async with world.node():
        workflow = await submit(
            world,
            fetch({"amount": 7}),
            do("a", "charge", "fetch", payload=result("fetch.result.amount"), compensate="refund"),
            do("b", "charge", "a", payload=result("a.result"), compensate="refund"),
            do("c", "fail", "b"),
            on_failure="tell",
        )
        await ended(world, workflow)
        await until(lambda: bool(told), "somebody to be told")
    name = format_id(workflow)
    charged = {"charged": 7}
    assert undone == [
        {"workflow": name, "node": "b", "payload": charged, "result": {"charged": charged}},
        {"workflow": name, "node": "a", "payload": 7, "result": charged},
    ]
    states = {"fetch": "succeeded", "a": "succeeded", "b": "succeeded", "c": "failed"}
    assert told == [{"workflow": name, "name": "test", "status": "failed", "nodes": states}]
    assert (await view(world, workflow)).reason == "node c failed"


async def test_a_map_that_is_retried_runs_the_items_again_that_did_not_complete(world: World) -> None:
    runs: list[int] = []
    is_broken = True

    @world.forge.job("halve", max_retries=0)
    async def halve(payload: int) -> float:
        runs.append(payload)
        if is_broken and payload == 3:
            await until(lambda: world.cluster.totals()["completed"] == 6, "the list and the other items")
            raise ValueError("no")
        return payload / 2

    async with world.node():
        workflow = await submit(world, fetch(list(range(6))), mapped("halve"))
        assert (await ended(world, workflow))["map"].state == "failed"
        before, is_broken = len(runs), False
        await world.cluster.store_client.workflows.retry(workflow)
        nodes = await ended(world, workflow)
    assert json(nodes["map"].result) == [number / 2 for number in range(6)]
    assert runs[before:] == [3]
