"""What a workflow counts as in what a namespace stores: itself, and each of its nodes that has not ended."""

from __future__ import annotations

from ironforge.store.inspector.usage import RedisUsage
from ironforge.workflows.program import CELL
from tests.store.kit import Cluster
from tests.store.workflows.flow import submitted
from tests.workflows.documents import edge, node


async def stored(cluster: Cluster) -> tuple[int, int]:
    """Jobs, and of these what is in flight."""
    usage = RedisUsage(cluster.settings)
    try:
        found, again = await usage.measure(), await usage.measure()
        assert found[:2] == again[:2]
        return found.stored_jobs, found.in_flight
    finally:
        await usage.close()


async def test_nodes_count_until_they_end(cluster: Cluster) -> None:
    flow = await submitted(
        cluster, node("a"), node("b", "a"), node("c", "a"), node("d", edge("a", "failed")), node("e", "b", "c")
    )
    assert await stored(cluster) == (6, 0)
    await flow.started()
    assert await stored(cluster) == (6, 1)
    await flow.end("a", move=False)
    await flow.advance()
    assert await stored(cluster) == (4, 2)
    await flow.started()
    await flow.end("b", "c")
    await flow.started()
    await flow.end("e")
    await flow.settle()
    assert await stored(cluster) == (0, 0)


async def test_what_is_paused_or_has_options_counts_and_what_is_cancelled_does_not(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a", options={"delay_seconds": 60}), node("b", "a"), node("c", "b"))
    await cluster.store_client.workflows.pause(flow.id)
    assert (await stored(cluster))[0] == 4
    await cluster.store_client.workflows.resume(flow.id)
    await flow.see_to()
    assert (await stored(cluster))[0] == 4
    await cluster.store_client.workflows.cancel(flow.id)
    await flow.see_to()
    await flow.settle()
    assert (await stored(cluster))[0] == 0


async def test_of_many_workflows_some_stand_for_the_others(cluster: Cluster) -> None:
    worker = await cluster.node()
    for _ in range(1_100):
        await submitted(cluster, node("a"), node("b", "a"), node=worker)
    found, _ = await stored(cluster)
    assert found == 3_300
    cluster.raw.flushall()
    cluster.checked = False


async def test_a_count_of_needs_is_no_node_that_runs(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), node("b", "a"), node("c", "b"))
    flow.set_cell(2, CELL.pack(b"p", ord("r") << 8 | ord("r"), ord("r")))
    assert (await stored(cluster))[0] == 4
    flow.set_cell(2, CELL.pack(b"p", 1, 0))


async def test_what_cannot_be_read_counts_as_itself(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), node("b", "a"))
    progress, name = flow.progress, flow.keys.progress(flow.id.hex())
    cluster.raw.delete(name)
    cluster.raw.lpush(name, "something else")
    assert (await stored(cluster))[0] == 1
    cluster.raw.delete(name)
    cluster.raw.set(name, progress)
