"""Workflows from the Python client and from a Forge."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ironforge import AsyncClient, Client, Forge
from ironforge.errors import (
    ConfigError,
    IdempotencyConflict,
    InvalidJob,
    InvalidPayload,
    SerializationError,
    WaitTimeout,
)
from ironforge.settings import Settings
from ironforge.workflows import chain, dag, node
from ironforge.workflows.definition import Workflow
from ironforge.workflows.errors import WorkflowNotFound
from tests.api.flows import GHOST

ODD = ["", ".", "..", "x", GHOST[:-1], "../jobs"]


def two(name: str = "two") -> Workflow:
    first = node("do.first", {"n": 1}, id="first")
    return dag(name, chain(first, node("do.second", first.result["url"], id="second")))


@pytest.fixture
async def client(api: Any) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(api.url) as made:
        yield made


@pytest.fixture
async def forge(settings: Settings) -> AsyncIterator[Forge]:
    async with Forge(settings) as made:

        @made.job("do.counted", queue="own")
        async def counted(n: int) -> int:
            return n

        yield made


async def test_one_is_submitted_looked_at_and_steered(client: AsyncClient) -> None:
    accepted = await client.submit_workflow(two())
    workflow_id = accepted["id"]
    assert (accepted["name"], accepted["status"], accepted["nodes"]) == ("two", "running", 2)
    shown = await client.workflow(workflow_id)
    assert [one["id"] for one in shown["nodes"]] == ["first", "second"]
    assert shown["workflow"]["nodes"][1]["payload"] == {"$result": "first.result.url"}
    assert [one["id"] for one in (await client.workflows(name="two", limit=1))["workflows"]] == [workflow_id]
    assert (await client.pause_workflow(workflow_id))["status"] == "paused"
    assert (await client.resume_workflow(workflow_id))["status"] == "running"
    assert (await client.cancel_workflow(workflow_id))["id"] == workflow_id


async def test_a_document_is_taken_as_http_takes_it(client: AsyncClient, forge: Forge) -> None:
    document = {"name": "one", "nodes": [{"id": "a", "kind": "do.a", "payload": {"n": 1}}]}
    for workflow_id in ((await client.submit_workflow(document))["id"], await forge.submit_workflow(document)):
        assert (await client.workflow(workflow_id))["workflow"] == document


async def test_by_whichever_door_a_submission_is_repeated_it_is_the_same(client: AsyncClient, forge: Forge) -> None:
    first = await forge.submit_workflow(two(), idempotency_key="order-42")
    assert (await client.submit_workflow(two(), idempotency_key="order-42"))["id"] == first
    assert await forge.submit_workflow(two(), idempotency_key="order-42") == first
    for door in (client, forge):
        with pytest.raises(IdempotencyConflict) as conflict:
            await door.submit_workflow(two("other"), idempotency_key="order-42")
        assert conflict.value.workflow_id == first


async def test_a_forge_repeats_a_submission_by_its_id(client: AsyncClient, forge: Forge) -> None:
    for _ in range(2):
        assert await forge.submit_workflow(two(), id=GHOST) == GHOST
    assert len((await client.workflows())["workflows"]) == 1


async def test_plain_code_submits_them_too(api_in_thread: str) -> None:
    with Client(api_in_thread) as client:
        workflow_id = client.submit_workflow(two())["id"]
        assert client.workflow(workflow_id, results=True)["name"] == "two"


async def test_what_a_kind_of_the_application_says_holds_for_its_nodes(client: AsyncClient, forge: Forge) -> None:
    await forge.submit_workflow(dag("own", node("do.counted", {"n": 1})))
    with pytest.raises(InvalidPayload) as refused:
        await forge.submit_workflow(dag("own", node("do.other"), node("do.counted", {"n": "x"}, id="bad")))
    assert (refused.value.code, refused.value.field) == ("invalid_arguments", "nodes[1].payload.n")
    assert len((await client.workflows())["workflows"]) == 1


async def test_what_is_wrong_is_refused_alike(client: AsyncClient, forge: Forge) -> None:
    cycle = {"name": "c", "nodes": [{"id": n, "kind": "k", "after": [other]} for n, other in ("ab", "ba")]}
    for door in (client, forge):
        with pytest.raises(InvalidJob, match="a -> b -> a") as refused:
            await door.submit_workflow(cycle)
        assert (refused.value.code, refused.value.field) == ("invalid_workflow", "nodes[0].after")
        with pytest.raises(SerializationError):
            await door.submit_workflow({"name": "a", "nodes": [{"id": "a", "kind": "k", "payload": object()}]})
    assert (await client.workflows())["workflows"] == []


async def test_what_is_not_there_and_what_is_no_id(client: AsyncClient) -> None:
    acts = (client.workflow, client.cancel_workflow, client.pause_workflow, client.resume_workflow)
    for act in acts:
        with pytest.raises(WorkflowNotFound, match=f"there is no workflow {GHOST}"):
            await act(GHOST)
        for odd in ODD:
            with pytest.raises(InvalidJob, match="is not a workflow id"):
                await act(odd)


async def test_waiting_has_an_end(client: AsyncClient) -> None:
    workflow_id = (await client.submit_workflow(two()))["id"]
    with pytest.raises(WaitTimeout, match=f"^workflow {workflow_id} has not ended within"):
        await client.wait_workflow(workflow_id, timeout_seconds=0.05)


async def test_a_forge_with_a_producer_of_its_own_says_that_it_takes_none() -> None:
    with pytest.raises(ConfigError, match="made with a producer"):
        await Forge(producer=object()).submit_workflow(two())  # type: ignore[arg-type]
