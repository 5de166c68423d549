"""Nodes that are maps: a job for each item of a list."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from ironforge import Context
from ironforge.errors import ConfigError
from ironforge.execution.workflows import mapping
from ironforge.job.record import JobState
from ironforge.workflows.definition import MAX_ITEMS
from ironforge.workflows.jobs import MAP_KIND, MapPayload
from tests.actors.node.kit import QUICK, Gate, World
from tests.actors.node.workflows.kit import do, ended, job_of, json, node_is, submit
from tests.support.waiting import until
from tests.workflows.documents import result


def mapped(kind: str, over: str = "fetch.result", *, max_parallel: int | None = None, **more: Any) -> dict[str, Any]:
    bound = {} if max_parallel is None else {"max_parallel": max_parallel}
    return do("map", kind, over.partition(".")[0], map={"over": over, **bound}, **more)


def fetch(value: Any) -> dict[str, Any]:
    """A node that returns this."""
    return do("fetch", "note", payload={"$literal": value})


async def reason_of(world: World, workflow: bytes) -> str:
    nodes = await ended(world, workflow)
    assert nodes["map"].state == "failed"
    return (await job_of(world, nodes["map"])).job.reason


async def test_each_item_has_a_job_and_results_are_in_the_order_of_items(world: World) -> None:
    @world.forge.job("double")
    async def double(payload: int) -> int:
        await asyncio.sleep((payload % 3) / 1000)
        return 2 * payload

    async with world.node():
        workflow = await submit(
            world,
            fetch({"items": list(range(50))}),
            mapped("double", "fetch.result.items"),
            do("sum", "note", "map", payload=result("map.result.49")),
        )
        nodes = await ended(world, workflow)
    assert json(nodes["map"].result) == [2 * number for number in range(50)]
    assert json(nodes["sum"].result) == 98


async def test_a_payload_has_its_item_and_results_of_nodes_in_it(world: World) -> None:
    payload = {
        "url": {"$item": "url"},
        "all": {"$item": ""},
        "by": result("fetch.result.by"),
        "as": {"$literal": {"$item": ""}},
    }
    items = [{"url": "a"}, {"url": "b"}]
    async with world.node():
        workflow = await submit(
            world,
            fetch({"items": items, "by": {"$item": "no word of a workflow"}}),
            mapped("note", "fetch.result.items", payload=payload, options={"priority": "high"}),
        )
        nodes = await ended(world, workflow)
    assert json(nodes["map"].result) == [
        {"url": item["url"], "all": item, "by": {"$item": "no word of a workflow"}, "as": {"$item": ""}}
        for item in items
    ]


async def test_a_map_over_nothing_has_an_empty_list(world: World) -> None:
    async with world.node():
        workflow = await submit(world, fetch([]), mapped("note"))
        nodes = await ended(world, workflow)
    assert nodes["map"].result == b"[]"


@pytest.mark.parametrize("max_parallel", [1, 7, 40])
async def test_no_more_jobs_are_there_at_once_than_it_says(world: World, max_parallel: int) -> None:
    there, most = 0, 0

    @world.forge.job("count")
    async def count(payload: int) -> int:
        nonlocal there, most
        there += 1
        most = max(most, there)
        await asyncio.sleep(0.001)
        there -= 1
        return payload

    async with world.node(concurrency=50):
        workflow = await submit(world, fetch(list(range(60))), mapped("count", max_parallel=max_parallel))
        nodes = await ended(world, workflow)
    assert json(nodes["map"].result) == list(range(60))
    assert most <= max_parallel


@pytest.mark.one_shard
@pytest.mark.parametrize(
    ("value", "over", "expected"),
    [
        ({"a": 1}, "fetch.result", "map.over: fetch.result is an object, and no list"),
        ({"a": 1}, "fetch.result.b", "map.over: fetch.result has no 'b': it has a"),
        ({"a": None}, "fetch.result.a", "map.over: fetch.result.a is null, and no list"),
        (
            "[" + "0," * MAX_ITEMS + "0]",
            "fetch.result",
            f"map.over: fetch.result has {MAX_ITEMS + 1} items, at most {MAX_ITEMS} are allowed: map over parts of it",
        ),
    ],
)
async def test_a_list_that_is_none_ends_it_at_once(world: World, value: Any, over: str, expected: str) -> None:
    value = msgspec.Raw(value.encode()) if isinstance(value, str) else value
    async with world.node():
        workflow = await submit(world, fetch(value), mapped("note", over))
        assert await reason_of(world, workflow) == f"unresolved_reference: {expected}"


@pytest.mark.one_shard
async def test_an_item_without_what_the_payload_refers_to_is_named(world: World) -> None:
    async with world.node():
        workflow = await submit(world, fetch([{"a": 1}, {"b": 1}]), mapped("note", payload={"x": {"$item": "a"}}))
        expected = "unresolved_reference: item 1, payload.x: the item has no 'a': it has b"
        assert await reason_of(world, workflow) == expected


async def test_items_that_failed_are_named_once_all_have_ended(world: World) -> None:
    ran: list[int] = []

    @world.forge.job("odd", max_retries=0)
    async def odd(payload: int) -> int:
        ran.append(payload)
        if payload % 2 == 0:
            raise ConnectionError("even")
        return payload

    async with world.node():
        workflow = await submit(world, fetch(list(range(20))), mapped("odd", max_parallel=3))
        nodes = await ended(world, workflow)
    dead = (await job_of(world, nodes["map"])).job
    assert sorted(ran) == list(range(20))
    assert dead.reason.startswith("10 of the 20 items have no result: item 0, job ")
    assert dead.reason.endswith(" …")
    assert len(dead.errors) == 1


@pytest.mark.one_shard
async def test_results_that_are_too_large_together_are_refused_where_they_are_needed(world: World) -> None:
    @world.forge.job("large")
    async def large(payload: int) -> str:
        return "x" * 300_000

    async with world.node():
        needed = await submit(
            world,
            fetch([1, 2, 3, 4]),
            mapped("large"),
            do("last", "note", "map", payload=result("map.result.0")),
        )
        expected = "result_too_large: the results of the 4 items have more than 1048576 bytes together: have each "
        assert await reason_of(world, needed) == f"{expected}return a reference"
        nodes = await ended(world, await submit(world, fetch([1, 2, 3, 4]), mapped("large"), do("last", "note", "map")))
    assert nodes["map"].result == b"null"
    assert nodes["last"].state == "succeeded"


@pytest.mark.one_shard
async def test_an_item_that_its_kind_refuses_is_named(world: World) -> None:
    @world.forge.job("strict")
    async def strict(size: int) -> None: ...

    async with world.node():
        workflow = await submit(world, fetch([{"size": 1}, {"size": "x"}]), mapped("strict"))
        job = await node_is(world, workflow, "map", JobState.SCHEDULED)
        assert job.job.errors[-1].message.startswith("item 1 cannot be submitted: ")
        await world.cluster.store_client.workflows.cancel(workflow)
        await ended(world, workflow)


async def test_a_cancelled_workflow_cancels_the_jobs_of_its_maps(world: World) -> None:
    gate = Gate()

    @world.forge.job("wait")
    async def wait(payload: int) -> None:
        await gate.pass_through(payload)

    async with world.node(concurrency=10):
        workflow = await submit(world, fetch(list(range(20))), mapped("wait", max_parallel=5))
        await until(lambda: len(gate.entered) == 5, "some items to run")
        await world.cluster.store_client.workflows.cancel(workflow)
        nodes = await ended(world, workflow)
        await until(lambda: len(gate.cancelled) == 5, "the items to be cancelled")
    assert nodes["map"].state == "cancelled"
    assert len(gate.entered) == 5


async def test_a_lost_attempt_keeps_the_items_that_have_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []
    broken = iter([True, True])

    @world.forge.job("count")
    async def count(payload: int) -> int:
        ran.append(payload)
        return payload

    read = mapping.encoded_results

    async def encoded_results(*about: Any, **more: Any) -> Any:
        if next(broken, False):
            raise ConnectionError("no answer")
        return await read(*about, **more)

    monkeypatch.setattr(mapping, "encoded_results", encoded_results)
    monkeypatch.setattr(mapping.Maps, "backoff", QUICK)
    async with world.node():
        workflow = await submit(world, fetch(list(range(12))), mapped("count", max_parallel=4))
        nodes = await ended(world, workflow)
    assert json(nodes["map"].result) == list(range(12))
    assert sorted(ran) == list(range(12))
    assert (await job_of(world, nodes["map"])).job.attempt == 2


@pytest.mark.one_shard
async def test_the_kind_is_run_as_a_node_alone(world: World) -> None:
    payload = MapPayload(kind="note", over="fetch.result", payload=msgspec.Raw(b"null"))
    async with world.node():
        dead = await world.dead(await world.submit(MAP_KIND, payload))
    assert (
        dead.job.reason
        == f"jobs of kind {MAP_KIND} are nodes of workflows: submit a workflow with a node that has a map"
    )


@pytest.mark.one_shard
async def test_no_application_has_the_kind(world: World) -> None:
    with pytest.raises(ConfigError, match="every node"):

        @world.forge.job(MAP_KIND)
        async def mine() -> None: ...


@pytest.mark.one_shard
async def test_it_is_announced_and_not_listed(world: World) -> None:
    async with world.node():
        kinds = await world.cluster.store_client.inspector.kinds()
        (node,) = await world.cluster.store_client.inspector.nodes()
        assert kinds.is_run(MAP_KIND)
    assert [*kinds.known] == ["note"]
    assert [*node.kinds] == ["note"]


@pytest.mark.one_shard
async def test_middleware_of_the_application_is_around_its_own_kinds(world: World) -> None:
    seen: list[str] = []

    @world.forge.middleware
    async def note_kind(context: Context, call_next: Any) -> Any:
        seen.append(context.kind)
        return await call_next()

    async with world.node():
        await ended(world, await submit(world, fetch([1]), mapped("note")))
    assert seen == ["note", "note"]
