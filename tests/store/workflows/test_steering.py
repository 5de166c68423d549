"""Workflows are paused, resumed, cancelled, and stopped by nodes that fail."""

from __future__ import annotations

import pytest

from ironforge.errors import InvalidState
from ironforge.job.record import JobState, new_id
from ironforge.store import Delivery
from ironforge.workflows.errors import WorkflowNotFound
from tests.store.kit import HOUR_MS, Cluster, job, job_in, retry, rewrite
from tests.store.workflows.flow import Flow, submitted
from tests.workflows.documents import node

LATER = {"delay_seconds": 60}


async def told(flow: Flow, *names: str) -> list[str]:
    """Those of these running nodes that were told to stop."""
    ids = {job_in(flow.deliveries[name]).id: name for name in names}
    return sorted(ids[job_id] for job_id in await flow.node.work.cancel_requested([*ids]))


# --------------------------------------------------------------------------- a node fails


async def test_what_has_not_started_is_cancelled_when_a_node_fails(cluster: Cluster) -> None:
    flow = await submitted(
        cluster, node("a"), node("runs"), node("delayed", options=LATER), node("queued", "runs"), node("b", "a")
    )
    assert await flow.started() == ["a", "runs"]
    await flow.end("a", how="dead")
    await flow.see_to()
    assert await flow.states() == {
        "a": "failed", "runs": "running", "delayed": "cancelled", "queued": "cancelled", "b": "cancelled"
    }  # fmt: skip
    assert (await told(flow, "runs"), cluster.raw.exists(flow.keys.stopping)) == ([], 0)
    assert (await flow.view()).nodes[2].reason == "the workflow has failed"
    await flow.end("runs")
    assert (await flow.view()).status == "failed"


async def test_so_is_what_waits_in_a_queue(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), *(node(f"n{number}") for number in range(5)))
    await flow.advance()
    (first,) = await flow.node.work.fetch(1)
    parent = job_in(first).parent
    assert parent is not None
    flow.deliveries[parent.node] = first
    await flow.end(parent.node, how="dead")
    await flow.see_to()
    assert sorted((await flow.states()).values()) == ["cancelled"] * 5 + ["failed"]
    assert await flow.started() == []


@pytest.mark.parametrize("how", ["retried", "handed back", "snoozed"])
async def test_what_has_started_once_goes_on(cluster: Cluster, how: str) -> None:
    flow = await submitted(cluster, node("a"), node("b"))
    await flow.started()
    delivery = flow.deliveries.pop("b")
    if how == "retried":
        await flow.node.work.park([retry(delivery, HOUR_MS)])
    elif how == "snoozed":
        await flow.node.work.park([rewrite(delivery, HOUR_MS)])
    else:
        await flow.node.work.requeue([rewrite(delivery)])
    await flow.end("a", how="dead")
    await flow.see_to()
    assert await flow.states() == {"a": "failed", "b": "running"}
    cluster.ripen()
    await flow.node.work.promote()
    assert await flow.started() == ["b"]
    await flow.end("b")
    assert await flow.states() == {"a": "failed", "b": "succeeded"}


async def test_other_failures_stop_nothing(cluster: Cluster) -> None:
    flow = await submitted(
        cluster, node("a", on_failure="skip_dependents"), node("b", on_failure="continue"), node("c", options=LATER)
    )
    await flow.started()
    await flow.end("a", how="dead")
    await flow.end("b", how="dead")
    await flow.see_to()
    assert await flow.states() == {"a": "failed", "b": "failed", "c": "running"}


# --------------------------------------------------------------------------- cancelling


async def test_a_cancelled_workflow_stops_also_what_runs(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), node("b", options=LATER), node("c", "a"))
    assert await flow.started() == ["a"]
    assert await cluster.store_client.workflows.cancel(flow.id) == "running"
    await flow.see_to()
    assert await flow.states() == {"a": "running", "b": "cancelled", "c": "cancelled"}
    assert await told(flow, "a") == ["a"]
    assert cluster.raw.exists(flow.keys.stopping) == 0
    await flow.end("a", how="cancelled")
    assert await flow.states() == {"a": "cancelled", "b": "cancelled", "c": "cancelled"}
    assert (await flow.view()).status == "cancelled"


async def test_one_that_has_failed_can_be_cancelled_as_well(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), node("b"), node("c", "b"))
    await flow.started()
    await flow.end("a", how="dead")
    await cluster.store_client.workflows.cancel(flow.id)
    await flow.see_to()
    assert await told(flow, "b") == ["b"]
    await flow.end("b", how="cancelled")
    assert (await flow.view()).status == "failed"


async def test_one_that_has_not_begun_is_cancelled_at_once(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), node("b", "a", options=LATER))
    assert await cluster.store_client.workflows.cancel(flow.id) == "running"
    assert await flow.states() == {"a": "cancelled", "b": "cancelled"}
    assert await flow.started() == []
    assert (await flow.view()).status == "cancelled"


async def test_a_cancelled_workflow_may_be_cancelled_again(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"))
    workflows = cluster.store_client.workflows
    assert [await workflows.cancel(flow.id), await workflows.cancel(flow.id)] == ["running", "running"]


async def test_one_whose_nodes_have_all_ended_is_not(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"))
    await flow.started()
    await flow.end("a", move=False)
    await flow.node.work._advancer._advance()  # type: ignore[attr-defined]
    with pytest.raises(InvalidState, match="its nodes have all ended"):
        await cluster.store_client.workflows.cancel(flow.id)


@pytest.mark.parametrize("how", ["completed", "dead", "cancelled"])
@pytest.mark.parametrize("what", ["pause", "resume", "cancel"])
async def test_one_that_has_ended_is_left_as_it_is(cluster: Cluster, what: str, how: str) -> None:
    flow = await submitted(cluster, node("a"))
    await flow.started()
    if how == "cancelled":
        await cluster.store_client.workflows.cancel(flow.id)
    await flow.end("a", how=how)
    status = {"dead": "failed"}.get(how, how)
    with pytest.raises(InvalidState, match=f"is {status} and cannot be") as refused:
        await getattr(cluster.store_client.workflows, what)(flow.id)
    assert refused.value.workflow_status == status


async def test_many_jobs_are_cancelled_a_part_at_a_time(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ironforge.store.workflows.stopping.JOBS_AT_ONCE", 7)
    flow = await submitted(cluster, *(node(f"n{number}") for number in range(50)))
    await flow.advance()
    await cluster.store_client.workflows.cancel(flow.id)
    await flow.see_to()
    assert set((await flow.states()).values()) == {"cancelled"}
    assert await flow.started() == []


# --------------------------------------------------------------------------- pausing


@pytest.mark.parametrize("options", [{}, LATER], ids=["plain", "with options"])
async def test_nothing_starts_while_a_workflow_is_paused(cluster: Cluster, options: dict[str, float]) -> None:
    workflows = cluster.store_client.workflows
    flow = await submitted(cluster, node("a"), node("b", "a", options=options), node("c", "a", options=options))
    await flow.started()
    assert await workflows.pause(flow.id) == "paused"
    await flow.end("a")
    await flow.see_to()
    assert await flow.states() == {"a": "succeeded", "b": "ready", "c": "ready"}
    assert ((await flow.view()).status, cluster.raw.exists(flow.keys.ready)) == ("paused", 0)
    assert await workflows.resume(flow.id) == "running"
    await flow.advance()
    cluster.ripen()
    await flow.node.work.promote()
    assert await flow.started() == ["b", "c"]


async def test_what_was_about_to_start_does_not(cluster: Cluster) -> None:
    workflows = cluster.store_client.workflows
    flow = await submitted(cluster, node("a"), node("b", options=LATER))
    await workflows.pause(flow.id)
    assert await flow.started() == []
    assert await flow.states() == {"a": "ready", "b": "ready"}
    await workflows.resume(flow.id)
    assert await flow.started() == ["a"]
    assert (await flow.states())["b"] == "running"


async def test_what_is_about_to_be_submitted_does_not_start_in_a_pause(one: Cluster) -> None:
    flow = await submitted(one, node("a", options=LATER))
    await flow.node.work._advancer._advance()  # type: ignore[attr-defined]
    assert one.raw.zcard(flow.keys.ready) == 1
    await one.store_client.workflows.pause(flow.id)
    await flow.see_to()
    assert await flow.started() == []
    assert await flow.states() == {"a": "ready"}
    await one.store_client.workflows.resume(flow.id)
    assert await flow.started() == []
    assert await flow.states() == {"a": "running"}


async def test_pausing_and_resuming_may_be_repeated(cluster: Cluster) -> None:
    workflows = cluster.store_client.workflows
    flow = await submitted(cluster, node("a"))
    assert [await workflows.pause(flow.id) for _ in range(2)] == ["paused", "paused"]
    assert [await workflows.resume(flow.id) for _ in range(2)] == ["running", "running"]
    assert await flow.started() == ["a"]


async def test_a_paused_workflow_can_be_cancelled(cluster: Cluster) -> None:
    workflows = cluster.store_client.workflows
    flow = await submitted(cluster, node("a"), node("b", "a"))
    await workflows.pause(flow.id)
    assert await workflows.cancel(flow.id) == "paused"
    assert await flow.states() == {"a": "cancelled", "b": "cancelled"}
    await workflows.resume(flow.id)
    assert await flow.started() == []


# --------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("what", ["pause", "resume", "cancel"])
async def test_what_is_no_workflow_is_not_found(cluster: Cluster, what: str) -> None:
    plain = job()
    await cluster.submit(plain)
    for job_id in (new_id(), plain.id):
        with pytest.raises(WorkflowNotFound):
            await getattr(cluster.store_client.workflows, what)(job_id)


async def test_cancelling_a_job_tells_nobody_of_one_that_was_left_alone(cluster: Cluster) -> None:
    """A run that has started is not interrupted by a workflow that fails beside it."""
    flow = await submitted(cluster, node("a"), node("b"))
    await flow.started()
    delivery: Delivery = flow.deliveries["b"]
    await flow.end("a", how="dead")
    await flow.see_to()
    assert await cluster.state(job_in(delivery)) is JobState.RUNNING
    assert await flow.node.work.cancel_requested([job_in(delivery).id]) == []
