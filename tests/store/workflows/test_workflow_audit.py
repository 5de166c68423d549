"""Looking after workflows: what nothing would move on is found and mended, and named by the doctor."""

from __future__ import annotations

import pytest

from ironforge.doctor.workflows import workflows_that_stand_still
from ironforge.job.record import new_id, tail_of
from ironforge.redis.connection import DoorConnection
from ironforge.store.steps.family_audit import LOST
from ironforge.store.workflows import workflow_audit
from ironforge.store.workflows.looks import Look, looks_at
from ironforge.workflows.program import CELL
from tests.store.kit import Cluster, job_in
from tests.store.workflows.flow import Flow, submitted
from tests.store.workflows.test_shards import begun, key_of, limit, sharded  # noqa: F401 - a fixture
from tests.workflows.documents import edge, node

LATER = {"delay_seconds": 60}


async def told(cluster: Cluster) -> list[str]:
    """What the doctor says of workflows that do not go on."""
    async with DoorConnection(cluster.url, cluster.keys.prefix) as link:
        found = await workflows_that_stand_still(link, cluster.keys)
    return [finding.message for finding in found if finding.level != "ok"]


async def mended(cluster: Cluster, flow: Flow, what: str, count: int = 1) -> None:
    """It is found once, by the doctor and by a node, and mended by that."""
    found = await told(cluster)
    assert len(found) == count
    assert all(what in message and str(flow.text_id) in message for message in found)
    assert await flow.node.work.audit_workflows() == count
    assert await told(cluster) == []
    assert await flow.node.work.audit_workflows() == 0


# --------------------------------------------------------------------------- what is as it has to be


async def test_nothing_is_found_where_all_is_well(one: Cluster) -> None:
    flow = await submitted(
        one,
        node("a"),
        node("b", "a", options=LATER),
        node("c", "a", options={"limits": [{"name": "one", "key": "a"}]}),
        node("d", edge("a", "failed")),
        node("e", "d", on_failure="continue"),
    )

    async def is_well() -> None:
        assert await told(one) == []
        assert await flow.node.work.audit_workflows() == 0

    await is_well()
    assert await flow.started() == ["a"]
    await is_well()
    await one.store_client.workflows.pause(flow.id)
    await is_well()
    await flow.end("a", move=False)
    await is_well()
    await flow.advance()
    await is_well()
    await one.store_client.workflows.resume(flow.id)
    await is_well()
    await flow.node.work._advancer._advance()  # type: ignore[attr-defined]
    await is_well()
    await flow.see_to()
    assert await flow.started() == ["c"]
    await is_well()
    await one.store_client.workflows.cancel(flow.id)
    await is_well()
    await flow.see_to()
    await is_well()
    await flow.end("c", how="cancelled")
    await is_well()


async def test_there_is_nothing_to_say_without_workflows(cluster: Cluster) -> None:
    async with DoorConnection(cluster.url, cluster.keys.prefix) as link:
        assert await workflows_that_stand_still(link, cluster.keys) == []
        await submitted(cluster, node("a"))
        (finding,) = await workflows_that_stand_still(link, cluster.keys)
    assert (finding.level, finding.message) == ("ok", "1 workflow going on, and something moves each of them")


async def test_the_doctor_says_when_no_node_moves_them(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"))
    cluster.raw.zadd(flow.keys.advance, {flow.items()[0]: 1})
    (message,) = await told(cluster)
    assert message.endswith("no node moves it on")


async def test_what_was_undone_since_a_look_is_not_stranded(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look is of one moment, and what comes of it of another."""
    chain = [node("a", compensate="undo"), node("b", "a", compensate="undo"), node("c", "b")]
    flow = await submitted(cluster, *chain)
    for name in "ab":
        await flow.started()
        await flow.end(name)
    await flow.started()
    await flow.end("c", how="dead", move=False)
    await flow.advance()

    async def looks() -> list[Look]:
        async with DoorConnection(cluster.url, cluster.keys.prefix) as link:
            return await looks_at(link, flow.keys, [flow.id], 20)

    async def finds(old: list[Look]) -> int:
        async def as_before(*_: object) -> list[Look]:
            return old

        with monkeypatch.context() as patched:
            patched.setattr(workflow_audit, "looks_at", as_before)
            return await flow.node.work.audit_workflows()

    for name in "ba":
        before = await looks()
        await flow.settle()
        assert await finds(before) == 0
        await flow.undoing()
        assert await finds(before) == 0
        before = await looks()
        await flow.undo(name)
        assert await finds(before) == 0
    assert (await flow.view()).status == "failed"


# --------------------------------------------------------------------------- what was lost


async def test_a_workflow_that_nobody_began(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"))
    cluster.raw.delete(flow.keys.advance)
    await mended(cluster, flow, "which may start")
    assert await flow.started() == ["a"]


async def test_an_end_that_nobody_works_off(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), node("b", "a"))
    await flow.started()
    await flow.end("a", move=False)
    cluster.raw.delete(flow.keys.advance)
    await mended(cluster, flow, "whose job is nowhere")
    assert await flow.started() == ["b"]


async def test_a_node_that_is_to_be_skipped(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), node("b", edge("a", "failed")), node("c", "b"))
    await flow.started()
    flow.set_cell(1, CELL.pack(b"p", 0, 4))
    await mended(cluster, flow, "which is to be skipped")
    await flow.advance()
    assert await flow.states() == {"a": "running", "b": "skipped", "c": "skipped"}


async def test_a_node_that_nobody_submits(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a", options=LATER))
    await flow.node.work._advancer._advance()  # type: ignore[attr-defined]
    cluster.raw.delete(flow.keys.ready)
    await mended(cluster, flow, "which may start")
    await flow.advance()
    assert await flow.states() == {"a": "running"}


async def test_a_job_that_is_nowhere(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), node("b", "a", on_failure="continue"))
    await flow.started()
    cluster.raw.hdel(flow.keys.index, job_in(flow.deliveries["a"]).id)
    cluster.raw.delete(flow.keys.stream("default:2"))
    await mended(cluster, flow, "whose job is nowhere")
    await flow.advance()
    assert await flow.states() == {"a": "cancelled", "b": "cancelled"}
    assert (await flow.view()).nodes[0].reason == LOST
    cluster.checked = False


async def test_but_not_one_that_a_node_could_not_read(cluster: Cluster) -> None:
    """It lies in the quarantine, until a newer node brings it back."""
    flow = await submitted(cluster, node("a"))
    await flow.started()
    await flow.node.work.bury_raw(flow.deliveries["a"], "newer")
    assert await flow.node.work.audit_workflows() == 0
    assert await flow.node.work.restore() == 1
    assert await flow.started() == ["a"]


async def test_a_workflow_whose_nodes_have_all_ended(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"))
    await flow.started()
    await flow.end("a", move=False)
    await flow.node.work._advancer._advance()  # type: ignore[attr-defined]
    cluster.raw.delete(flow.keys.finishing)
    await mended(cluster, flow, "nothing ends it")
    assert cluster.raw.zscore(flow.keys.finishing, flow.id)


@pytest.mark.parametrize("needs", [1, 7])
async def test_a_node_that_waits_for_more_than_there_is(cluster: Cluster, needs: int) -> None:
    flow = await submitted(cluster, node("a"), node("b", "a"), node("c", "b"))
    await flow.started()
    await flow.end("a", move=False)
    cluster.raw.delete(flow.keys.advance)
    cluster.raw.setrange(flow.keys.progress(flow.id.hex()), 0, b"\0\2")
    flow.set_cell(0, CELL.pack(b"s", 0, 0))
    flow.set_cell(1, CELL.pack(b"p", needs, 0))
    await mended(cluster, flow, "no node of workflow")
    assert await flow.started() == ["b"]


async def test_nodes_that_are_counted_wrongly(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), node("b", "a"))
    await flow.started()
    cluster.raw.setrange(flow.keys.progress(flow.id.hex()), 0, b"\0\5")
    await mended(cluster, flow, "no node of workflow")
    assert flow.head.left == 2


# --------------------------------------------------------------------------- in several shards


async def test_a_job_in_another_shard_is_looked_for_there(
    sharded: Cluster,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = key_of(1)
    flow = await begun(sharded, node("a", options=limit(key)), node("b", "a"))
    assert await flow.started() == ["a"]
    assert await flow.node.work.audit_workflows() == 0
    delivery = flow.deliveries["a"]
    others = flow.node.work._parts[tail_of(key) % 3]._keys  # type: ignore[attr-defined]
    sharded.raw.hdel(others.index, job_in(delivery).id)
    assert await flow.node.work.audit_workflows() == 0
    monkeypatch.setattr("ironforge.store.workflows.workflow_audit.GRACE_SECONDS", 0.0)
    assert await flow.node.work.audit_workflows() == 1
    await flow.see_to()
    assert await flow.states() == {"a": "cancelled", "b": "cancelled"}
    sharded.checked = False


async def test_many_are_looked_at_a_page_at_a_time(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ironforge.store.workflows.workflow_audit.PAGE", 2)
    worker = await cluster.node()
    flows = [await submitted(cluster, node("a"), node=worker) for _ in range(5)]
    cluster.raw.delete(flows[0].keys.advance)
    found = [await worker.work.audit_workflows() for _ in range(4)]
    assert found == [2, 2, 1, 0]
    for flow in flows:
        await flow.advance()
    assert {tuple((await flow.states()).values()) for flow in flows} == {("running",)}


async def test_a_leftover_among_those_that_go_on_is_forgotten(cluster: Cluster) -> None:
    worker = await cluster.node()
    leftover = new_id()
    cluster.raw.zadd(cluster.keys.waiting("workflow"), {leftover: 1})
    assert await worker.work.audit_workflows() == 1
    assert cluster.raw.exists(cluster.keys.waiting("workflow")) == 0
