"""Workflows are accepted once, and begin."""

from __future__ import annotations

import pytest

from ironforge.errors import IdempotencyConflict, QuotaExceeded
from ironforge.job.record import JobState, new_id, tail_of
from ironforge.store import JobFilter
from ironforge.store.contract import Most
from ironforge.store.workflows.contract import WorkflowFilter
from ironforge.workflows.errors import WorkflowNotFound
from tests.store.kit import Cluster
from tests.store.workflows.flow import Flow, submission, submitted
from tests.workflows.documents import node, workflow


async def test_a_workflow_begins_with_what_waits_for_nothing(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), node("b"), node("c", "a", "b"))
    assert await flow.states() == {"a": "ready", "b": "ready", "c": "pending"}
    assert await flow.started() == ["a", "b"]
    assert await flow.states() == {"a": "running", "b": "running", "c": "pending"}
    view = await flow.view()
    assert (view.name, view.status, view.by, view.queues) == ("test", "running", "somebody", ("default",))
    assert view.document == flow.document


async def test_its_jobs_say_where_they_belong(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a", payload={"x": 1}), node("b", "a", payload={"y": {"$result": "a.result"}}))
    await flow.started()
    (found,) = (await cluster.store_client.inspector.jobs()).jobs
    assert (found.job.kind, found.job.payload) == ("do.a", b'{"x":1}')
    assert found.job.ready_ms >= found.job.created_ms
    assert (await flow.view()).nodes[0].job_id == found.job.id
    await flow.end("a", result=b'"here"')
    await flow.started()
    (found,) = (await cluster.store_client.inspector.jobs(JobFilter(state=JobState.RUNNING))).jobs
    parent = found.job.parent
    assert parent is not None
    assert (parent.id, parent.node, parent.index, parent.sources) == (flow.id, "b", 1, (("a", "\n0.0"),))
    assert b"here" in cluster.raw.hget(flow.keys.results(flow.id.hex()), parent.sources[0][1])


async def test_the_same_id_is_the_same_workflow(cluster: Cluster) -> None:
    workflows = cluster.store_client.workflows
    one = submission(workflow(node("a")))
    assert await workflows.submit([one]) == [(one.id, "running", False)]
    before = cluster.snapshot()
    assert await workflows.submit([one]) == [(one.id, "running", True)]
    assert cluster.snapshot() == before


async def test_an_idempotency_key_stands_for_the_first_workflow(cluster: Cluster) -> None:
    workflows = cluster.store_client.workflows
    ids = [new_id(tail_of("key")) for _ in range(3)]
    same = {"idempotency_key": "key", "fingerprint": b"same"}
    one, again = (submission(workflow(node("a")), id=each, **same) for each in ids[:2])
    other = submission(workflow(node("b")), id=ids[2], idempotency_key="key", fingerprint=b"other")
    await workflows.submit([one])
    assert await workflows.submit([again]) == [(one.id, "running", True)]
    with pytest.raises(IdempotencyConflict):
        await workflows.submit([other])
    with pytest.raises(WorkflowNotFound):
        await workflows.view(other.id)


async def test_many_share_a_call(cluster: Cluster) -> None:
    batch = [submission(workflow(node("a"), node("b", "a"), name=f"w{number}")) for number in range(50)]
    answers = await cluster.store_client.workflows.submit(batch)
    assert [answer.id for answer in answers] == [one.id for one in batch]
    node_ = await cluster.node()
    flow = Flow(cluster, node_, batch[0])
    assert await flow.started() == ["a"]
    page = await cluster.store_client.workflows.page(limit=100)
    assert {row.name for row in page.rows} == {one.prepared.document.name for one in batch}


async def test_a_large_one_is_written_in_parts(cluster: Cluster) -> None:
    nodes = [node("first"), *(node(f"n{number}", "first") for number in range(4_999))]
    flow = await submitted(cluster, *nodes)
    assert cluster.raw.ttl(flow.keys.graph(flow.id.hex())) == -1
    assert await flow.started() == ["first"]
    await flow.end("first")
    assert len(await flow.started()) == 4_999
    assert flow.items() == []
    assert len((await flow.view()).nodes) == 5_000


async def test_too_many_queues_are_refused(cluster: Cluster) -> None:
    workflows = cluster.store_client.workflows
    most = Most(1, 100)
    one = submission(workflow(node("a", options={"queue": "one"}), node("b", options={"queue": "two"})))
    with pytest.raises(QuotaExceeded):
        await workflows.submit([one], most=most)
    assert (await workflows.page()).rows == []
    assert cluster.raw.keys(cluster.keys.prefix + "graph:*") == []


async def test_lists_are_paged_by_status_and_name(cluster: Cluster) -> None:
    workflows = cluster.store_client.workflows
    batch = [submission(workflow(node("a"), name=name)) for name in ("x", "y", "x", "x", "y")]
    for one in batch:
        await workflows.submit([one])
    first = await workflows.page(limit=2)
    assert [row.id for row in first.rows] == [batch[4].id, batch[3].id]
    second = await workflows.page(limit=2, cursor=first.cursor)
    assert [row.id for row in second.rows] == [batch[2].id, batch[1].id]
    assert [row.name for row in (await workflows.page(WorkflowFilter(name="y"))).rows] == ["y", "y"]
    assert (await workflows.page(WorkflowFilter(status="failed"))).rows == []
    row = first.rows[0]
    assert (row.status, row.nodes, row.left, row.queues) == ("running", 1, 1, ("default",))
    with pytest.raises(ValueError, match="cursor"):
        await workflows.page(cursor="elsewhere")
