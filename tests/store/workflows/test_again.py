"""Retries and forks of workflows that have ended."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from ironforge.errors import IdempotencyConflict, InvalidJob, InvalidState
from ironforge.job.record import JobState, format_id, new_id
from ironforge.steps.waits import ParentRef
from ironforge.store.workflows.contract import Fork
from ironforge.workflows.errors import WorkflowNotFound
from tests.store.kit import Cluster, job_in
from tests.store.workflows.flow import Flow, prepared, submitted
from tests.store.workflows.test_finishing import run, told
from tests.workflows.documents import node, result


async def retry(flow: Flow) -> None:
    assert await flow.cluster.store_client.workflows.retry(flow.id) == "running"


async def fork(flow: Flow, name: str | None, payload: Any = None, **fields: Any) -> Flow:
    encoded = None if payload is None else msgspec.json.encode(payload)
    asked = Fork(fields.pop("id", None) or new_id(flow.id[-1]), name, encoded, **fields)
    answer = await flow.cluster.store_client.workflows.fork(flow.id, asked, prepared)
    return Flow.of(flow.cluster, flow.node, answer.id)


def parent_of(flow: Flow, name: str) -> ParentRef:
    parent = job_in(flow.deliveries[name]).parent
    assert parent is not None
    return parent


async def failed(cluster: Cluster, **more: Any) -> Flow:
    """`a` has succeeded, `b` failed, `c` never ran, `other` succeeded."""
    nodes = (node("a"), node("other", "a"), node("b", "other", payload=result("a.result")), node("c", "b"))
    flow = await submitted(cluster, *nodes, **more)
    await run(flow, b="dead")
    assert (await flow.view()).status == "failed"
    return flow


# --------------------------------------------------------------------------- retries


async def test_a_retry_runs_what_failed_and_what_waits_for_it(cluster: Cluster) -> None:
    flow = await failed(cluster, on_success="told")
    await retry(flow)
    assert (await flow.view()).status == "running"
    assert cluster.raw.zcard(flow.keys.dead) == 0
    assert await flow.started() == ["b"]
    assert parent_of(flow, "b").generation == 1
    assert parent_of(flow, "b").sources == (("a", "\n0.0"),)
    await run(flow)
    view = await flow.view()
    assert (view.status, view.generation, view.reason) == ("completed", 1, "")
    assert await flow.states() == dict.fromkeys(("a", "other", "b", "c"), "succeeded")
    assert [each.result for each in view.nodes] == [b'{"of":"%s"}' % name for name in (b"a", b"other", b"b", b"c")]
    (job,) = await told(flow)
    assert msgspec.json.decode(job.payload)["status"] == "completed"


async def test_the_dead_job_of_a_node_comes_back_under_its_id(cluster: Cluster) -> None:
    flow = await failed(cluster)
    (dead,) = [job_id for job_id in cluster.raw.zrange(flow.keys.dead, 0, -1) if job_id != flow.id]
    await retry(flow)
    assert (await flow.view()).nodes[2].job_id == dead
    await flow.started()
    back = job_in(flow.deliveries["b"])
    assert (back.id, back.revivals) == (dead, 1)
    await flow.end("b", how="dead")
    await flow.settle()
    assert (await flow.view()).status == "failed"
    await retry(flow)
    await flow.started()
    assert job_in(flow.deliveries["b"]).revivals == 2
    await run(flow)
    assert (await flow.view()).status == "completed"


async def test_what_was_kept_by_one_retry_runs_again_by_the_next_once_it_is_undone(cluster: Cluster) -> None:
    nodes = (node("a", compensate="undo.a"), node("b", "a", compensate="undo.b"), node("c", "b"))
    flow = await submitted(cluster, *nodes)
    await run(flow, c="dead")
    await flow.undo("b", how="dead")  # and so `a` is not undone
    await retry(flow)
    assert await flow.started() == ["b"]
    await run(flow, c="dead")
    await flow.undo("b")
    await flow.undo("a")
    await retry(flow)
    assert await flow.started() == ["a"]
    await run(flow)
    assert (await flow.view()).status == "completed"


async def test_one_that_was_dropped_is_made_anew(cluster: Cluster) -> None:
    flow = await failed(cluster)
    (dead,) = [job_id for job_id in cluster.raw.zrange(flow.keys.dead, 0, -1) if job_id != flow.id]
    cluster.raw.zadd(flow.keys.dead, {dead: 1})
    await flow.node.work.expire()
    await retry(flow)
    await flow.started()
    assert job_in(flow.deliveries["b"]).id != dead
    await run(flow)
    assert (await flow.view()).status == "completed"


async def test_a_cancelled_workflow_goes_on_where_it_was_stopped(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), node("b", "a"), node("c", "b"))
    await flow.started()
    await flow.end("a", result=b"1")
    await flow.started()
    await cluster.store_client.workflows.cancel(flow.id)
    await flow.end("b", how="cancelled")
    await flow.settle()
    assert (await flow.view()).status == "cancelled"
    await retry(flow)
    await run(flow)
    view = await flow.view()
    assert (view.status, view.nodes[0].result) == ("completed", b"1")
    names = set(cluster.raw.scan_iter(flow.keys.prefix + "workflows:*"))
    assert sum(cluster.raw.zcard(name) for name in names) == 1


async def test_what_was_undone_runs_again_and_can_be_undone_again(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a", compensate="undo"), node("b", "a", compensate="undo"), node("c", "b"))
    for _ in range(2):
        await run(flow, c="dead")
        await flow.undo("b")
        await flow.undo("a")
        assert (await flow.view()).status == "failed"
        await retry(flow)
    await run(flow)
    assert (await flow.view()).status == "completed"
    assert cluster.raw.lrange(flow.keys.order(flow.id.hex()), 0, -1) == [b"0", b"1"]


async def test_what_was_kept_is_undone_after_a_retry(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a", compensate="undo"), node("b", "a", compensate="undo"), node("c", "b"))
    await run(flow, c="dead")
    await flow.undo("b", how="dead")
    await retry(flow)
    await run(flow, c="dead")
    for name, generation in (("b", 1), ("a", 0)):
        undo = await flow.undoing()
        assert undo.parent is not None
        assert (undo.parent.node, undo.parent.generation) == (name, 1)
        assert undo.parent.sources == ((name, f"\n{'ab'.index(name)}.{generation}"),)
        await flow.undo(name)
    assert (await flow.view()).status == "failed"


async def test_a_retry_after_which_nothing_is_left_ends_at_once(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"))
    await flow.started()
    await cluster.store_client.workflows.cancel(flow.id)
    await flow.end("a")
    await flow.settle()
    assert (await flow.view()).status == "cancelled"
    await retry(flow)
    await flow.settle()
    assert (await flow.view()).status == "completed"


async def test_of_many_who_retry_one_does(cluster: Cluster) -> None:
    flow = await failed(cluster)
    doors = [cluster.open_doors() for _ in range(5)]
    answers = await asyncio.gather(*(door.workflows.retry(flow.id) for door in doors), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == [*["InvalidState"] * 4, "str"]
    assert await flow.started() == ["b"]
    await run(flow)
    assert (await flow.view()).generation == 1
    staged = list(cluster.raw.scan_iter(flow.keys.prefix + "graph:*"))
    assert staged == [flow.keys.graph(flow.id.hex()).encode()]


async def test_only_what_has_ended_without_success_is_retried(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"))
    with pytest.raises(InvalidState, match="the workflow is running"):
        await retry(flow)
    await run(flow)
    with pytest.raises(InvalidState, match="nothing to retry"):
        await retry(flow)
    with pytest.raises(WorkflowNotFound):
        await cluster.store_client.workflows.retry(new_id())


async def test_ends_of_an_older_generation_that_come_late_change_nothing(cluster: Cluster) -> None:
    flow = await failed(cluster)
    ends = {
        name: cluster.raw.hget(flow.keys.results(flow.id.hex()), name)
        for name in cluster.raw.hkeys(flow.keys.results(flow.id.hex()))
    }
    await retry(flow)
    await flow.started()
    for name, record in ends.items():
        for letter in "sfc":
            cluster.raw.zadd(flow.keys.advance, {flow.id + letter.encode() + name[1:]: 1})
        cluster.raw.hset(flow.keys.results(flow.id.hex()), name, record)
    await flow.settle()
    assert await flow.states() == {"a": "succeeded", "other": "succeeded", "b": "running", "c": "pending"}
    await run(flow)
    assert (await flow.view()).status == "completed"


# --------------------------------------------------------------------------- forks


async def test_a_fork_keeps_results_and_runs_the_rest(cluster: Cluster) -> None:
    flow = await failed(cluster)
    other = await fork(flow, "b", {"edited": result("a.result")})
    assert await other.started() == ["b"]
    assert parent_of(other, "b").sources == (("a", "\n0.0"),)
    assert job_in(other.deliveries["b"]).payload == b'{"edited":{"$result":"a.result"}}'
    await run(other)
    view = await other.view()
    assert (view.status, view.generation) == ("completed", 0)
    assert [each.result for each in view.nodes] == [b'{"of":"%s"}' % name for name in (b"a", b"other", b"b", b"c")]
    assert (await flow.view()).status == "failed"


async def test_a_fork_of_what_was_retried_has_the_newest_results(cluster: Cluster) -> None:
    flow = await failed(cluster)
    await retry(flow)
    await run(flow)
    other = await fork(flow, "c")
    assert await other.started() == ["c"]
    await run(other)
    assert [each.result for each in (await other.view()).nodes][2] == b'{"of":"b"}'
    assert all(cluster.raw.ttl(name) > 0 for name in cluster.raw.scan_iter(flow.keys.prefix + "results:*"))


async def test_a_fork_is_made_once(cluster: Cluster) -> None:
    flow = await failed(cluster)
    one, key = new_id(flow.id[-1]), {"idempotency_key": "k", "fingerprint": b"x"}
    first = await fork(flow, "b", id=one, **key)
    await retry(flow)
    assert (await fork(flow, "b", id=one)).id == first.id
    assert (await fork(flow, "b", **key)).id == first.id
    await run(flow)
    with pytest.raises(IdempotencyConflict):
        await fork(flow, "b", idempotency_key="k", fingerprint=b"y")


async def test_nothing_of_a_fork_is_undone_that_ran_for_the_other_one(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a", compensate="undo"), node("b", "a", compensate="undo"), node("c", "b"))
    await run(flow)
    other = await fork(flow, "b")
    await run(other, c="dead")
    await other.undo("b")
    assert (await other.view()).status == "failed"


async def test_what_cannot_be_forked(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"))
    with pytest.raises(InvalidState, match="the workflow is running"):
        await fork(flow, "a")
    await run(flow)
    with pytest.raises(InvalidJob, match="there is no node 'b'"):
        await fork(flow, "b")
    with pytest.raises(InvalidState, match="name the node"):
        await fork(flow, None)
    with pytest.raises(InvalidJob):
        await fork(flow, "a", {"$result": "b.result"})


# --------------------------------------------------------------------------- single jobs


async def test_a_dead_node_is_not_retried_alone(cluster: Cluster) -> None:
    flow = await failed(cluster)
    producer = cluster.store_client.producer
    for job_id in cluster.raw.zrange(flow.keys.dead, 0, -1):
        with pytest.raises(InvalidState, match=f"workflow {format_id(flow.id)}") as refused:
            await producer.retry(job_id, reset_retry_count=True)
        assert refused.value.state == JobState.DEAD


async def test_a_workflow_is_not_cancelled_as_a_job(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"))
    with pytest.raises(InvalidState, match=f"workflow {format_id(flow.id)}"):
        await cluster.store_client.producer.cancel(flow.id)
    await run(flow)
    assert (await flow.view()).status == "completed"
