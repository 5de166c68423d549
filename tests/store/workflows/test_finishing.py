"""How workflows end: their records, what they are made of, what undoes their nodes, and who is told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ironforge.job.checked_options import CheckedOptions
from ironforge.job.limits import LimitUse
from ironforge.job.record import Job, new_id
from ironforge.job.uniqueness import UniqueUse
from ironforge.store.inspector.usage import RedisUsage
from tests.store.kit import Cluster, completed, job, job_in, now_ms
from tests.store.workflows.flow import Flow, submission, submitted
from tests.workflows.documents import node, workflow

PARTS = ("graph", "progress", "order", "results")


def keys_of(flow: Flow) -> dict[str, int]:
    """How many seconds what it is made of is kept (-1: for ever), by part; what is not there is left out."""
    names = {part: getattr(flow.keys, part)(flow.id.hex()) for part in PARTS}
    left = {part: flow.cluster.raw.ttl(name) for part, name in names.items()}
    return {part: seconds for part, seconds in left.items() if seconds != -2}


async def run(flow: Flow, **ends: str) -> None:
    """To its end: each node ends so, others succeed."""
    while await flow.started() or flow.running:
        for name in flow.running:
            await flow.end(name, how=ends.get(name, "completed"), result=b'{"of":"%s"}' % name.encode(), move=False)
        await flow.settle()
    await flow.settle()


async def told(flow: Flow) -> list[Job]:
    """The jobs that are told of its end."""
    assert await flow.started() == []
    return flow.told


# --------------------------------------------------------------------------- records


async def test_a_workflow_completes(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), node("b", "a"))
    await run(flow)
    view = await flow.view()
    assert (view.status, view.reason) == ("completed", "")
    assert 0 < view.ended_ms - view.created_ms < 60_000
    assert keys_of(flow).keys() == {"graph", "progress", "results"}
    assert all(3_600 <= seconds <= 3_700 for seconds in keys_of(flow).values())
    assert cluster.raw.zcard(flow.keys.finishing) == 0


async def test_one_that_fails_lies_dead_with_all_it_is_made_of(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a", compensate="undo"), node("b"), node("c", "b"))
    await run(flow, b="dead")
    assert await flow.states() == {"a": "succeeded", "b": "failed", "c": "cancelled"}
    await flow.undo("a")
    view = await flow.view()
    assert (view.status, view.reason) == ("failed", "node b failed")
    assert keys_of(flow) == dict.fromkeys(PARTS, -1)
    assert cluster.raw.zscore(flow.keys.dead, flow.id) == pytest.approx(now_ms(), abs=60_000)


async def test_nothing_is_kept_of_one_that_retains_nothing(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), options={"retain_seconds": 0})
    await run(flow)
    assert keys_of(flow) == {}


async def test_one_that_is_cancelled_ends_as_cancelled(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), node("b", "a"), on_failure="told")
    await flow.started()
    await cluster.store_client.workflows.cancel(flow.id)
    await flow.end("a", how="cancelled")
    await flow.settle()
    assert (await flow.view()).status == "cancelled"
    assert await told(flow) == []


async def test_old_dead_ones_are_dropped_with_all_they_are_made_of(cluster: Cluster) -> None:
    cluster.with_settings(dead_retention_seconds=0.001)
    flow = await submitted(cluster, node("a", compensate="undo"), node("b", "a"))
    await run(flow, b="dead")
    await flow.undo("a")
    cluster.raw.zadd(flow.keys.dead, {flow.id: 1})
    await flow.node.work.expire()
    assert keys_of(flow) == {}
    assert cluster.raw.zcard(flow.keys.workflows("dead")) == 0


async def test_those_of_a_bucket_that_is_dropped_early_go_with_it(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"))
    await run(flow)
    await flow.drop_buckets()
    assert keys_of(flow) == {}


# --------------------------------------------------------------------------- undoing


async def test_what_succeeded_is_undone_the_last_first(cluster: Cluster) -> None:
    names = ("a", "b", "c")
    nodes = [
        node("a", compensate="undo.a"),
        *(node(n, p, compensate=f"undo.{n}") for p, n in zip("ab", "bc", strict=True)),
    ]
    flow = await submitted(cluster, *nodes, node("d", "c"), on_failure="told")
    await run(flow, d="dead")
    for name in reversed(names):
        undo = await flow.undoing()
        assert (undo.kind, undo.parent and undo.parent.node) == (f"undo.{name}", name)
        payload = msgspec.json.decode(undo.payload)
        assert payload == {
            "workflow": undo.parent and flow.text_id,
            "node": name,
            "payload": None,
            "result": {"$result": f"{name}.result"},
        }
        assert undo.parent is not None
        assert undo.parent.sources == ((name, f"\n{names.index(name)}.0"),)
        assert (await flow.view()).status == "running"
        await flow.undo(name)
    assert (await flow.view()).status == "failed"
    (job,) = await told(flow)
    assert job.kind == "told"
    states: Any = {**dict.fromkeys(names, "succeeded"), "d": "failed"}
    assert msgspec.json.decode(job.payload) == {
        "workflow": flow.text_id,
        "name": "test",
        "status": "failed",
        "nodes": states,
    }


async def test_nothing_is_undone_beyond_what_could_not_be(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a", compensate="undo"), node("b", "a", compensate="undo"), node("c", "b"))
    await run(flow, c="dead")
    await flow.undo("b", how="dead")
    view = await flow.view()
    assert (view.status, view.reason) == ("failed", "node c failed, node b could not be undone")


async def test_a_cancelled_workflow_is_undone_too(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a", compensate="undo"), node("b", "a"))
    await flow.started()
    await flow.end("a")
    await flow.started()
    await cluster.store_client.workflows.cancel(flow.id)
    await flow.end("b", how="cancelled")
    await flow.settle()
    assert (await flow.view()).status == "running"
    await flow.undo("a")
    assert (await flow.view()).status == "cancelled"


async def test_a_pause_holds_undoing(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a", compensate="undo"), node("b", "a"))
    await flow.started()
    await flow.end("a")
    await flow.started()
    await cluster.store_client.workflows.pause(flow.id)
    await flow.end("b", how="dead")
    await flow.settle()
    assert await flow.started() == []
    assert flow.deliveries == {}
    assert cluster.raw.zcard(flow.keys.finishing) == 0
    await cluster.store_client.workflows.resume(flow.id)
    await flow.settle()
    await flow.undo("a")
    assert (await flow.view()).status == "failed"


# --------------------------------------------------------------------------- callbacks


async def test_who_is_to_be_told_of_a_success_is(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), on_success="told", options={"queue": "default", "priority": "high"})
    await run(flow)
    (job,) = await told(flow)
    assert job.kind == "told"
    assert msgspec.json.decode(job.payload)["nodes"] == {"a": "succeeded"}
    assert job.priority == 1
    assert job.parent is None


# --------------------------------------------------------------------------- options, damage


def checked(**options: Any) -> CheckedOptions:
    given = workflow(node("x", options=options)).nodes[0].options
    assert given is not None
    return given.checked()


async def with_options(cluster: Cluster, options: CheckedOptions, *nodes: dict[str, Any]) -> Flow:
    """What undoes nodes, and what is told of the end, have these."""
    one = submission(workflow(*nodes, on_failure="told"))
    undoing = {number: options for number, each in enumerate(nodes) if "compensate" in each}
    prepared = one.prepared._replace(undoing=undoing, callbacks={"failed": options})
    one = one._replace(prepared=prepared)
    await cluster.store_client.workflows.submit([one])
    return Flow(cluster, await cluster.node(), one)


UNDO = (node("a", compensate="undo"), node("b", "a"))


async def test_what_undoes_nodes_and_is_told_keeps_to_limits(one: Cluster) -> None:
    options = checked(limits=[{"name": "one", "key": "k"}], expires_in_seconds=60, fairness_key="f")
    flow = await with_options(one, options, *UNDO)
    await one.submit(job(limits=(LimitUse("one", "k"),)))
    (other,) = [each for each in await flow.node.work.fetch(10) if job_in(each).kind == "k"]
    await run(flow, b="dead")
    assert await flow.started() == []
    assert flow.deliveries == {}
    await flow.node.work.settle([completed(other)])
    assert (await flow.undoing()).expires_ms > now_ms()
    await flow.undo("a")
    (told_of,) = await told(flow)
    assert [each.key for each in told_of.limits] == ["k"]


async def test_no_full_queue_keeps_a_workflow_from_ending(cluster: Cluster) -> None:
    cluster.with_settings(max_queue_length=2)
    flow = await with_options(cluster, checked(queue="default"), *UNDO)
    await flow.started()
    await flow.end("a")
    await flow.started()
    await cluster.submit(job(priority=3))
    await flow.end("b", how="dead")
    await flow.settle()
    await flow.undo("a")
    assert [each.kind for each in await told(flow)] == ["k", "told"]


async def test_an_undoing_whose_unique_key_another_job_has_does_not_run(cluster: Cluster) -> None:
    flow = await with_options(cluster, checked(unique={"key": "u"}), *UNDO)
    await cluster.submit(job(kind="undo", unique=UniqueUse("u"), id=new_id(flow.id[-1])))
    await run(flow, b="dead")
    view = await flow.view()
    assert (view.status, view.reason) == ("failed", "node b failed, node a could not be undone")
    assert [each.kind for each in await told(flow)] == ["undo", "told"]


@pytest.mark.parametrize(
    ("field", "reason"),
    [("u0", "node b failed, node a could not be undone"), ("of", "no job of a node"), ("d", "no document")],
)
async def test_one_that_is_damaged_ends_all_the_same(cluster: Cluster, field: str, reason: str) -> None:
    flow = await submitted(cluster, *UNDO, on_failure="told")
    cluster.raw.hset(flow.keys.graph(flow.id.hex()), field, b"damaged")
    await run(flow, b="dead")
    if field != "u0":
        await flow.undo("a")
    (row,) = (await cluster.store_client.workflows.page()).rows
    assert row.status == "failed"
    assert reason in row.reason


async def test_those_of_the_wrong_type_keep_no_others_waiting(cluster: Cluster) -> None:
    first = await submitted(cluster, node("a"), options={"retain_seconds": 7_200})
    bucket = first.keys.bucket_of(first.id, "kept")
    cluster.raw.set(bucket, "wrong")
    await run(first)
    second = await submitted(cluster, node("a"))
    await run(second)
    assert [cluster.raw.hexists(first.keys.index, each.id) for each in (first, second)] == [True, False]
    cluster.raw.delete(bucket)
    cluster.raw.zadd(first.keys.finishing, {first.id: 1})
    await first.settle()
    assert (await first.view()).status == "completed"


async def test_what_dead_and_ended_workflows_keep_counts_as_stored(cluster: Cluster) -> None:
    before = await stored_bytes(cluster)
    for how in ("dead", "completed"):
        flow = await submitted(cluster, node("a", payload="x" * 50_000), node("b", "a"))
        await run(flow, b=how)
    assert await stored_bytes(cluster) - before > 100_000


async def stored_bytes(cluster: Cluster) -> int:
    usage = RedisUsage(cluster.settings)
    try:
        return (await usage.measure()).stored_bytes
    finally:
        await usage.close()
