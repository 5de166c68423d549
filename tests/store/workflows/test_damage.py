"""Workflows whose keys are damaged by hand, or lost: each goes on, or ends, and somebody is told what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ironforge.api.schemas.workflow_views import workflow_answer
from ironforge.errors import InvalidState
from ironforge.redis.workflow_keys import parts_of
from ironforge.store.workflows.again.rebuilding import PAUSED
from ironforge.store.workflows.contract import WorkflowFilter
from ironforge.workflows.errors import WorkflowNotFound
from ironforge.workflows.graph import Graph
from ironforge.workflows.picture.drawing import draw
from ironforge.workflows.program import HEAD
from tests.store.kit import Cluster
from tests.store.workflows.flow import Flow, submitted
from tests.store.workflows.test_workflow_audit import told
from tests.workflows.documents import edge, node

Damage = Callable[[Flow], object]


def gone(flow: Flow) -> None:
    flow.cluster.raw.delete(flow.keys.progress(flow.id.hex()))


def cut(flow: Flow) -> None:
    flow.cluster.raw.set(flow.keys.progress(flow.id.hex()), flow.progress[: HEAD.size - 1])


def torn(flow: Flow) -> None:
    flow.cluster.raw.set(flow.keys.progress(flow.id.hex()), flow.progress[:-1])


def overwritten(flow: Flow) -> None:
    flow.cluster.raw.set(flow.keys.progress(flow.id.hex()), "something else than what belongs here")


def lose_fields(flow: Flow, *fields: str) -> None:
    flow.cluster.raw.hdel(flow.keys.graph(flow.id.hex()), *fields)


async def looked_after(flow: Flow) -> None:
    """As nodes do, as often as it takes."""
    for _ in range(3):
        await flow.node.work.audit_workflows()
        await flow.settle()
    assert await flow.node.work.audit_workflows() == 0


each_damage = pytest.mark.parametrize("damage", [gone, cut, torn, overwritten])


# ------------------------------------------------------------------- how far it is was lost


@each_damage
async def test_it_is_found_out_and_paused_until_somebody_decides(cluster: Cluster, damage: Damage) -> None:
    flow = await submitted(cluster, node("a"), node("b", "a"), node("c", "b"), node("d", edge("a", "failed")))
    other = await submitted(cluster, node("x"), node=flow.node)
    await flow.started()
    await flow.end("a", result=b"7")
    assert await flow.started() == ["b"]
    damage(flow)
    (message,) = await told(cluster)
    assert message == f"how far workflow {flow.text_id} is was lost"
    await looked_after(flow)
    view = await flow.view()
    assert (view.status, view.reason) == ("paused", PAUSED)
    assert [one.state.value for one in view.nodes] == ["succeeded", "running", "pending", "skipped"]
    assert await told(cluster) == [f"workflow {flow.text_id} is paused: {PAUSED}"]
    await flow.end("b")
    assert await flow.started() == []
    assert await cluster.store_client.workflows.resume(flow.id) == "running"
    assert (await flow.view()).reason == ""
    assert await flow.started() == ["c"]
    await flow.end("c")
    await flow.settle()
    assert (await flow.view()).status == "completed"
    assert (await other.view()).status == "running"


@each_damage
async def test_what_ends_meanwhile_is_heard_of(cluster: Cluster, damage: Damage) -> None:
    flow = await submitted(cluster, node("a"), node("b"), node("c", "a", "b"))
    await flow.started()
    damage(flow)
    await flow.end("a", move=False)
    await flow.node.work.promote()
    await flow.settle()
    assert [one.state.value for one in (await flow.view()).nodes] == ["succeeded", "running", "pending"]
    await cluster.store_client.workflows.cancel(flow.id)
    await flow.end("b", how="cancelled")
    await looked_after(flow)
    assert (await flow.view()).status == "cancelled"


@pytest.mark.parametrize(("how", "status"), [("completed", "completed"), ("dead", "failed")])
async def test_one_with_nothing_left_to_start_ends(cluster: Cluster, how: str, status: str) -> None:
    flow = await submitted(cluster, node("a"), node("b", "a"), node("c", "a"))
    await flow.started()
    await flow.end("a")
    await flow.started()
    await flow.end("b")
    await flow.end("c", how=how, move=False)
    gone(flow)
    await looked_after(flow)
    assert (await flow.view()).status == status
    cluster.checked = how != "dead"


async def test_one_that_was_retried_goes_on_in_its_generation(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), node("b", "a"), node("c", "b"))
    await flow.started()
    await flow.end("a", result=b"1")
    await flow.started()
    await flow.end("b", how="dead")
    await flow.settle()
    await cluster.store_client.workflows.retry(flow.id)
    assert await flow.started() == ["b"]
    gone(flow)
    await looked_after(flow)
    await cluster.store_client.workflows.resume(flow.id)
    assert flow.head.generation == 1
    await flow.end("b")
    assert await flow.started() == ["c"]
    await flow.end("c")
    await flow.settle()
    assert (await flow.view()).status == "completed"


async def test_one_that_had_not_begun_begins_once_it_is_resumed(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a", options={"delay_seconds": 60}), node("b"))
    gone(flow)
    await looked_after(flow)
    assert await flow.started() == []
    await cluster.store_client.workflows.resume(flow.id)
    assert await flow.started() == ["b"]


# ------------------------------------------------------------------- what it is made of was lost


async def test_without_its_document_it_fails_and_can_be_dropped(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), node("b", "a"))
    await flow.started()
    cluster.raw.delete(flow.keys.graph(flow.id.hex()))
    gone(flow)
    await flow.end("a", move=False)
    await looked_after(flow)
    view = await flow.view()
    assert (view.status, len(view.nodes)) == ("failed", 0)
    assert workflow_answer(view).nodes == []
    assert draw(Graph(view.document.nodes), []) == []
    assert "document" in view.reason
    (row,) = (await cluster.store_client.workflows.page(WorkflowFilter(status="failed"))).rows
    assert (row.id, row.nodes) == (flow.id, 2)
    with pytest.raises(WorkflowNotFound):
        await cluster.store_client.workflows.retry(flow.id)
    cluster.raw.zadd(cluster.keys.dead, {flow.id: 1})
    await flow.node.work.expire()
    assert cluster.raw.exists(*parts_of(cluster.keys, flow.id)) == 0
    assert (await cluster.store_client.workflows.page()).rows == []


@pytest.mark.parametrize("lost", ["0", "b"])
async def test_without_what_follows_it_fails_and_may_be_retried(cluster: Cluster, lost: str) -> None:
    flow = await submitted(cluster, node("a"), node("b", "a"), node("c"))
    if lost != "b":
        assert await flow.started() == ["a", "c"]
    lose_fields(flow, lost)
    if lost != "b":
        await flow.end("a", move=False)
    await looked_after(flow)
    if lost != "b":
        assert (await flow.view()).status == "running"
        await flow.end("c")
        await looked_after(flow)
    view = await flow.view()
    assert (view.status, view.reason.partition(";")[0]) == ("failed", "what follows from the end of a node was lost")
    await cluster.store_client.workflows.retry(flow.id)
    started = await flow.started()
    await flow.end(*started)
    for name in await flow.started():
        await flow.end(name)
    await flow.settle()
    assert (await flow.view()).status == "completed"


@pytest.mark.parametrize("lost", ["r1", "r0"])
async def test_without_the_job_of_a_node_it_fails(cluster: Cluster, lost: str) -> None:
    flow = await submitted(cluster, node("a"), node("b", "a"), node("c", "a"), node("d", "b"))
    lose_fields(flow, lost)
    if await flow.started() == ["a"]:
        await flow.end("a")
    for name in await flow.started():
        await flow.end(name)
    await looked_after(flow)
    view = await flow.view()
    assert (view.status, view.reason.partition(";")[0]) == ("failed", "the job of a node was lost")
    with pytest.raises(InvalidState, match="gone"):
        await cluster.store_client.workflows.retry(flow.id)


async def test_without_the_record_that_stands_for_it_another_one_is_made(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a", options={"queue": "here"}))
    await flow.started()
    cluster.raw.hdel(cluster.keys.parked, flow.id)
    await looked_after(flow)
    view = await flow.view()
    assert (view.status, view.name, view.queues) == ("running", "test", ("here",))
    await flow.settle()


# ------------------------------------------------------------------- the quarantine


@pytest.mark.parametrize("damage", [gone, lambda flow: None])
async def test_one_in_the_quarantine_is_brought_back(cluster: Cluster, damage: Damage) -> None:
    """Versions before put those aside that could not go on."""
    flow = await submitted(cluster, node("a"), node("b", "a"))
    await flow.started()
    raw, keys = cluster.raw, cluster.keys
    record = raw.hget(keys.parked, flow.id)
    raw.xadd(keys.quarantine, {"id": flow.id, "record": record, "reason": "no"})
    raw.hdel(keys.index, flow.id)
    raw.hdel(keys.parked, flow.id)
    raw.zrem(keys.waiting("workflow"), flow.id)
    raw.hincrby(keys.delayed, "default", -1)
    damage(flow)
    assert await flow.node.work.restore() == 1
    assert raw.xlen(keys.quarantine) == 0
    await looked_after(flow)
    if (await flow.view()).status == "paused":
        await cluster.store_client.workflows.resume(flow.id)
    await flow.end("a")
    assert await flow.started() == ["b"]
