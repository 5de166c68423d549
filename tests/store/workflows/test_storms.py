"""Many callers at once on one workflow, while nodes run it, die, and come back: it ends once, as its nodes did."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

import pytest

from ironforge.errors import InvalidState, StoreUnavailable
from ironforge.job.record import format_id, new_id, tail_of
from ironforge.store import StoreClient
from ironforge.store.workflows.contract import Fork, WorkflowFilter
from tests.store.kit import Cluster, Node, job_in
from tests.store.workflows.flow import Flow, prepared, submission, submitted
from tests.workflows.documents import edge, node, workflow

CLIENTS = 20


@pytest.fixture
def clients(cluster: Cluster) -> list[StoreClient]:
    return [cluster.open_doors() for _ in range(4)]


async def test_one_workflow_comes_of_one_key_however_many_submit_it(cluster: Cluster) -> None:
    """Each of these clients has a connection of its own."""
    document = workflow(node("a"), node("b", "a"))
    many = [cluster.open_doors() for _ in range(CLIENTS)]
    ones = [
        submission(document, id=new_id(tail_of("order-7")), idempotency_key="order-7", fingerprint=b"same")
        for _ in many
    ]
    answers = await asyncio.gather(*(client.workflows.submit([one]) for client, one in zip(many, ones, strict=True)))
    assert len({answer.id for (answer,) in answers}) == 1
    assert sum(not answer.replayed for (answer,) in answers) == 1
    assert cluster.raw.zcard(cluster.keys.waiting("workflow")) == 1
    assert len(cluster.raw.keys(cluster.keys.graph("*"))) == 1


async def test_one_fork_comes_of_one_key_however_many_fork(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), node("b", "a"))
    await flow.started()
    await flow.end("a", result=b"7")
    await flow.started()
    await flow.end("b", how="dead")
    await flow.settle()
    workflows = cluster.store_client.workflows
    asked = [Fork(new_id(flow.id[-1]), "b", None, idempotency_key="again", fingerprint=b"same") for _ in range(CLIENTS)]
    answers = await asyncio.gather(*(workflows.fork(flow.id, one, prepared) for one in asked))
    assert len({answer.id for answer in answers}) == 1
    assert len((await workflows.page(WorkflowFilter(status="running"))).rows) == 1
    (fork,) = {answer.id for answer in answers}
    other = Flow.of(cluster, flow.node, fork)
    assert await other.started() == ["b"]


async def test_one_retry_comes_of_many(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), node("b", "a"))
    await flow.started()
    await flow.end("a", how="dead")
    await flow.settle()
    workflows = cluster.store_client.workflows
    found = await asyncio.gather(*(workflows.retry(flow.id) for _ in range(CLIENTS)), return_exceptions=True)
    assert found.count("running") == 1
    assert {type(one) for one in found} <= {str, InvalidState, StoreUnavailable}
    assert flow.head.generation == 1
    assert await flow.started() == ["a"]


@pytest.mark.parametrize("seed", range(3))
async def test_it_ends_once_whoever_steers_it_and_whatever_nodes_die(
    cluster: Cluster, clients: list[StoreClient], seed: int
) -> None:
    draw = random.Random(seed)
    nodes = [await cluster.node() for _ in range(3)]
    flow = await submitted(
        cluster,
        node("a", compensate="undo"),
        *(node(f"b{n}", "a", compensate="undo", on_failure="continue") for n in range(6)),
        node("c", *(f"b{n}" for n in range(6))),
        node("d", edge("c", "failed")),
        node("e", "c", when="all_done"),
        node=nodes[0],
    )
    over = asyncio.Event()
    storm = [asyncio.create_task(_steer(client, flow, draw, over)) for client in clients]
    for _ in range(40):
        await _work(cluster, nodes, flow, draw)
    over.set()
    await asyncio.gather(*storm)
    await _to_its_end(cluster, nodes, flow)
    view = await flow.view()
    assert view.status in ("completed", "failed", "cancelled")
    assert flow.head.left == 0
    assert {one.state.has_ended for one in view.nodes} == {True}
    assert cluster.raw.exists(flow.keys.advance, flow.keys.ready, flow.keys.stopping, flow.keys.finishing) == 0
    if view.status != "completed":
        await cluster.store_client.workflows.retry(flow.id)
        await _to_its_end(cluster, nodes, flow)
    assert (await flow.view()).status == "completed"
    cluster.checked = False


async def _steer(client: StoreClient, flow: Flow, draw: random.Random, over: asyncio.Event) -> None:
    calls = client.workflows
    acts: list[Callable[[bytes], Awaitable[object]]] = [*[calls.pause, calls.resume] * 4, calls.cancel, calls.retry]
    while not over.is_set():
        with contextlib.suppress(InvalidState, StoreUnavailable):
            await draw.choice(acts)(flow.id)
        await asyncio.sleep(0)


async def _work(cluster: Cluster, nodes: list[Node], flow: Flow, draw: random.Random) -> None:
    """One of the nodes does something, or dies, and another takes over what it held."""
    at = draw.randrange(len(nodes))
    flow.node = nodes[at]
    await flow.try_once()
    batch = await flow.node.work.fetch(3)
    # One that crashes again and again runs alone, which is another story.
    may_die = not any(job_in(delivery).crashes for delivery in batch)
    for delivery in batch:
        flow.deliveries[format_id(job_in(delivery).id)] = delivery
        how = draw.choice(["completed", "completed", "completed", "dead", "cancelled", *(["dies"] if may_die else [])])
        if how == "dies":
            flow.deliveries.clear()
            heir, gone = await cluster.node(), nodes[at]
            cluster.lapse(gone)
            await heir.leases.take_over(heir.lease, gone.lease.node)
            nodes[at] = heir
            return
        await flow.end(format_id(job_in(delivery).id), how=how, move=False)


async def _to_its_end(cluster: Cluster, nodes: list[Node], flow: Flow) -> None:
    """All that runs succeeds."""
    for _ in range(200):
        flow.node = nodes[0]
        view = await flow.view()
        if view.status == "paused":
            await cluster.store_client.workflows.resume(flow.id)
        elif view.status != "running":
            return
        await flow.try_once()
        for delivery in await flow.node.work.fetch(100):
            flow.deliveries[format_id(job_in(delivery).id)] = delivery
        await flow.end(*flow.deliveries, move=False)
    raise AssertionError((await flow.view()).nodes)
