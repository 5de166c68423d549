"""Dead jobs of nodes that a retry of their workflow runs again by other jobs."""

from __future__ import annotations

from ironforge.job.limits import Limit
from ironforge.job.record import JobState
from ironforge.store.workflows.again.superseding import REASON
from tests.store.kit import Cluster
from tests.store.workflows.flow import submitted
from tests.store.workflows.test_again import retry
from tests.store.workflows.test_finishing import run
from tests.workflows.documents import node


async def test_a_dead_job_leaves_the_dead_letter_where_another_one_runs_its_node(cluster: Cluster) -> None:
    """`late` waits for what runs again, `kept` is as good as one that succeeded, `apart` has a unique key."""
    flow = await submitted(
        cluster,
        node("first", on_failure="skip_dependents"),
        node("late", "first", when="all_done"),
        node("kept", on_failure="continue"),
        node("apart", on_failure="skip_dependents", options={"unique": {"key": "one"}}),
    )
    await run(flow, first="dead", late="dead", kept="dead", apart="dead")
    other = await submitted(cluster, node("x"), node=flow.node)
    await run(other, x="dead")
    before = {one.id: one.job_id for one in (await flow.view()).nodes}
    await retry(flow)
    dead = set(cluster.raw.zrange(flow.keys.dead, 0, -1))
    (x,) = (await other.view()).nodes
    assert dead == {before["kept"], x.job_id, other.id}
    assert (await cluster.store_client.inspector.stats()).totals["cancelled"] == 2
    for name in ("late", "apart"):
        job_id = before[name]
        assert job_id is not None
        found = await cluster.store_client.inspector.get(job_id)
        assert (found.state, found.job.reason) == (JobState.CANCELLED, REASON)
    await run(flow)
    assert (await flow.view()).status == "completed"


async def test_what_failed_to_undo_a_node_leaves_it_as_well(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a", compensate="undo"), node("b", "a"))
    await flow.started()
    await flow.end("a")
    await flow.started()
    await flow.end("b", how="dead")
    await flow.settle()
    await flow.undo("a", how="dead")
    assert cluster.raw.zcard(flow.keys.dead) == 3
    await retry(flow)
    assert cluster.raw.zcard(flow.keys.dead) == 0
    assert await flow.started() == ["a"]


async def test_a_key_that_waited_for_a_dead_job_lets_the_one_that_takes_its_place_start(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=1, order="fifo", on_failure="park"))
    limited = {"limits": [{"name": "one", "key": "a"}]}
    first = node("first", on_failure="skip_dependents")
    flow = await submitted(cluster, first, node("late", "first", when="all_done", options=limited))
    await run(flow, first="dead", late="dead")
    (dead,) = [one.job_id for one in (await flow.view()).nodes if one.id == "late"]
    assert dead is not None
    holders = flow.keys.holders("one\na")
    assert cluster.raw.zrange(holders, 0, -1) == [dead]
    await retry(flow)
    assert cluster.raw.zrange(holders, 0, -1) == []
    await run(flow)
    assert (await flow.view()).status == "completed"
