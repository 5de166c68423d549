"""What handlers of nodes get of the nodes before them."""

from __future__ import annotations

from typing import Any

import pytest

from ironforge import Context
from ironforge.actors.handler_calls import Journals
from ironforge.handlers.forge import ExecutorName
from ironforge.job.record import JobState, format_id
from ironforge.redis.family_keys import results_of
from ironforge.redis.shards import shards_of
from tests.actors.node.kit import QUICK, Gate, World
from tests.actors.node.steps.kit import register_as
from tests.actors.node.workflows import handlers
from tests.actors.node.workflows.kit import do, ended, job_of, json, node_is, submit
from tests.support.waiting import until
from tests.workflows.documents import edge, result

SORTS = pytest.mark.parametrize("sort", ["async", "thread", "process"])


def fetch(world: World) -> None:
    @world.forge.job("fetch")
    async def fetch() -> dict[str, Any]:
        return {"url": "http://x", "sizes": [1, 22, 3]}


def register(world: World, sort: ExecutorName) -> None:
    if sort == "async":

        @world.forge.job("page")
        async def page(page: handlers.Page, context: Context) -> list[Any]:
            return handlers.page(page, context)
    else:
        register_as(world, sort, "page", handlers.page)


@SORTS
async def test_a_payload_has_the_results_that_it_refers_to(world: World, sort: ExecutorName) -> None:
    fetch(world)
    register(world, sort)
    payload = {"url": result("fetch.result.url"), "size": result("fetch.result.sizes.1")}
    async with world.node():
        workflow = await submit(world, do("fetch", "fetch"), do("page.1", "page", "fetch", payload=payload))
        nodes = await ended(world, workflow)
    assert json(nodes["page.1"].result) == ["http://x", 22, "page.1"]
    # What is stored stays as it was: another run of it looks anew.
    assert json((await job_of(world, nodes["page.1"])).job.payload) == payload


@SORTS
async def test_what_they_do_not_fit_is_said_after_they_are_in_it(world: World, sort: ExecutorName) -> None:
    fetch(world)
    register(world, sort)
    payload = {"url": result("fetch.result.url"), "size": result("fetch.result.url")}
    async with world.node():
        workflow = await submit(
            world, do("fetch", "fetch"), do("page", "page", "fetch", payload=payload, options={"max_retries": 0})
        )
        nodes = await ended(world, workflow)
    assert nodes["page"].state == "failed"
    assert "size" in (await job_of(world, nodes["page"])).job.errors[-1].message


@SORTS
async def test_a_part_that_is_not_there_ends_the_job_at_once(world: World, sort: ExecutorName) -> None:
    fetch(world)
    register(world, sort)
    payload = {"url": result("fetch.result.ulr"), "size": 1}
    async with world.node():
        workflow = await submit(world, do("fetch", "fetch"), do("page", "page", "fetch", payload=payload))
        nodes = await ended(world, workflow)
    job = (await job_of(world, nodes["page"])).job
    assert job.reason == "unresolved_reference: payload.url: fetch.result has no 'ulr': did you mean 'url'?"
    assert [error.type for error in job.errors] == ["unresolved_reference"]


async def test_nodes_that_did_not_succeed_have_null(world: World) -> None:
    @world.forge.job("fail", max_retries=0)
    async def fail() -> None:
        raise ConnectionError

    payload = [result("dead.result"), result("skipped.result.a"), result("done.result")]
    async with world.node():
        workflow = await submit(
            world,
            do("done", "note", payload=7),
            do("dead", "fail", on_failure="continue"),
            do("skipped", "note", edge("done", "failed"), payload="never"),
            do("last", "note", "dead", "skipped", "done", when="all_done", payload=payload),
        )
        nodes = await ended(world, workflow)
    assert nodes["skipped"].state == "skipped"
    assert json(nodes["last"].result) == [None, None, 7]


async def test_a_result_that_is_lost_fails_the_attempt_and_is_never_null(world: World) -> None:
    gate, given = Gate(), []

    @world.forge.job("wait", backoff=QUICK)
    async def wait() -> str:
        await gate.pass_through()
        return "late"

    @world.forge.job("take", max_retries=1, backoff=QUICK)
    async def take(payload: Any) -> None:
        given.append(payload)

    async with world.node():
        workflow = await submit(
            world,
            do("first", "note", payload=1),
            do("second", "wait"),
            do("last", "take", "first", "second", payload=[result("first.result"), result("second.result")]),
        )
        await node_is(world, workflow, "first", JobState.COMPLETED)
        await until(lambda: gate.entered, "the second node to run")
        for keys in shards_of(world.settings):
            world.cluster.raw.hdel(results_of(keys, workflow), "\n0.0")
        gate.open()
        nodes = await ended(world, workflow)
    assert given == []
    dead = (await job_of(world, nodes["last"])).job
    assert [error.message for error in dead.errors] == [
        f"nothing is known of the end of node first of workflow {format_id(workflow)}"
    ] * 2


@SORTS
async def test_other_jobs_are_of_no_workflow(world: World, sort: ExecutorName) -> None:
    if sort == "async":

        @world.forge.job("outside")
        async def outside(context: Context) -> Any:
            return context.workflow
    else:
        register_as(world, sort, "outside", handlers.outside)
    async with world.node():
        assert (await world.completed(await world.submit("outside"))).job.result == b"null"


async def test_a_handler_knows_its_workflow(world: World) -> None:
    seen: list[Any] = []

    @world.forge.job("look")
    async def look(context: Context) -> None:
        assert context.workflow is not None
        seen.append((context.workflow.id, context.workflow.node, context.log_fields()["node"]))

    async with world.node():
        workflow = await submit(world, do("here", "look"))
        await ended(world, workflow)
    assert seen == [(format_id(workflow), "here", "here")]


async def test_results_are_byte_for_byte_what_was_returned(world: World) -> None:
    @world.forge.job("big")
    async def big() -> dict[str, Any]:
        return {"n": 1.0, "text": "é\u2028", "deep": [[[]]]}

    async with world.node():
        workflow = await submit(
            world, do("big", "big"), do("echo", "note", "big", payload={"got": result("big.result")})
        )
        nodes = await ended(world, workflow)
    returned = b'{"n":1.0,"text":"\xc3\xa9\xe2\x80\xa8","deep":[[[]]]}'
    assert nodes["big"].result == returned
    assert nodes["echo"].result == b'{"got":%s}' % returned


async def test_a_cancelled_run_that_still_reads_them_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the server does not answer."""
    gate = Gate()

    async def read(*_: Any) -> Any:
        await gate.pass_through()

    monkeypatch.setattr(Journals, "results_for", read)
    async with world.node():
        workflow = await submit(
            world, do("first", "note", payload=1), do("last", "note", "first", payload=result("first.result"))
        )
        await until(lambda: gate.entered, "the last node to read")
        job = await node_is(world, workflow, "last", JobState.RUNNING)
        await world.cancel(job.job.text_id)
        nodes = await ended(world, workflow)
    assert nodes["last"].state == "cancelled"
    assert len(gate.cancelled) == 1
