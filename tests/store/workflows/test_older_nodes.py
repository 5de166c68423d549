"""Ends that a node of an older version has told a workflow as those of the children of a job."""

from __future__ import annotations

import pytest

from tests.store.kit import Cluster
from tests.store.workflows.flow import Flow, submitted
from tests.workflows.documents import edge, node


def as_an_older_node_tells_it(flow: Flow) -> None:
    """It knows nothing of `advance`, and marks whose child has ended."""
    raw, keys = flow.cluster.raw, flow.keys
    raw.delete(keys.advance)
    raw.zadd(keys.wake, {flow.id: 1})


@pytest.mark.parametrize(
    ("how", "starts"), [("completed", ["good"]), ("dead", ["bad"]), ("cancelled", ["bad"])], ids=str
)
async def test_the_workflow_goes_on_at_once(cluster: Cluster, how: str, starts: list[str]) -> None:
    flow = await submitted(
        cluster,
        node("a", on_failure="continue"),
        node("good", edge("a", "succeeded")),
        node("bad", edge("a", "failed")),
    )
    await flow.started()
    await flow.end("a", how=how, move=False)
    as_an_older_node_tells_it(flow)
    await flow.node.work.promote()
    assert cluster.raw.exists(flow.keys.wake) == 0
    assert await flow.started() == starts
    cluster.checked = how != "dead"


async def test_each_end_is_heard_once_and_what_runs_goes_on(cluster: Cluster) -> None:
    flow = await submitted(cluster, *(node(name) for name in "abcd"), node("e", *"abcd"))
    await flow.started()
    await flow.end("a", move=False)
    await flow.end("c", move=False)
    as_an_older_node_tells_it(flow)
    await flow.node.work.promote()
    as_an_older_node_tells_it(flow)
    await flow.node.work.promote()
    await flow.advance()
    assert flow.head.left == 3
    await flow.end("b", "d")
    assert await flow.started() == ["e"]


async def test_so_much_is_read_at_once_and_the_rest_next(cluster: Cluster) -> None:
    flow = await submitted(
        cluster, *(node(f"n{number}") for number in range(7)), node("last", *(f"n{n}" for n in range(7)))
    )
    await flow.started()
    await flow.end(*flow.running, result=b'"' + b"x" * 1_000_000 + b'"', move=False)
    as_an_older_node_tells_it(flow)
    await flow.node.work._waker.wake()  # type: ignore[attr-defined]
    await flow.advance()
    while cluster.raw.exists(flow.keys.wake):
        await flow.node.work.promote()
    assert await flow.started() == ["last"]


async def test_one_that_has_ended_keeps_its_results(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"))
    await flow.started()
    await flow.end("a", result=b"7")
    await flow.settle()
    as_an_older_node_tells_it(flow)
    await flow.node.work.promote()
    assert (await flow.view()).nodes[0].result == b"7"


async def test_nothing_is_heard_of_one_with_a_key_of_the_wrong_type(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"))
    other = await submitted(cluster, node("x"), node("y", "x"), node=flow.node)
    await flow.advance()
    while batch := await flow.node.work.fetch(100):
        for delivery in batch:
            flow._take(delivery) or other._take(delivery)
    await other.end("x", move=False)
    results = flow.keys.results(flow.id.hex())
    cluster.raw.set(results, "something else")
    as_an_older_node_tells_it(flow)
    as_an_older_node_tells_it(other)
    await flow.node.work.promote()
    assert await other.started() == ["y"]
    cluster.raw.delete(results)
