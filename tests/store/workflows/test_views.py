"""What a workflow shows of its nodes: how much of its results at once, why they failed, what undoes them."""

from __future__ import annotations

import pytest

from ironforge.store.workflows.reading import reader
from ironforge.workflows.states import NodeState
from tests.store.kit import Cluster
from tests.store.workflows.flow import Flow, submitted
from tests.workflows.documents import node

LARGE = b'"%b"' % (b"x" * 70_000)


async def test_results_are_shown_as_far_as_there_is_room_and_each_node_names_its_job(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "VIEW_BYTES", 150_000)
    monkeypatch.setattr(reader, "RESULTS_BYTES", 220_000)
    flow = await submitted(cluster, *(node(name) for name in "abcd"), node("later", *"abcd"))
    jobs = {name: flow.deliveries[name] for name in await flow.started()}
    ids = [one.job_id for one in (await flow.view()).nodes]
    await flow.end(*jobs, result=LARGE)
    few, many = await flow.view(), await flow.view(results=True)
    assert [one.result for one in few.nodes] == [None] * 5
    assert [one.truncated for one in few.nodes] == [True] * 4 + [False]
    assert [one.result for one in many.nodes] == [LARGE] * 3 + [None] * 2
    assert [one.truncated for one in many.nodes] == [False] * 3 + [True, False]
    for view in (few, many):
        assert [one.job_id for one in view.nodes[:4]] == ids[:4]


# --------------------------------------------------------------------------- why nodes failed, and their undoing


async def compensations(flow: Flow) -> dict[str, tuple[str, bool, str]]:
    """Of those that have one: its state, whether it names its job, and why it failed."""
    nodes = [(one.id, one.compensation) for one in (await flow.view()).nodes]
    return {name: (shown.state.value, shown.job_id is not None, shown.reason) for name, shown in nodes if shown}


async def to_undo(cluster: Cluster) -> Flow:
    """One whose last node is to fail, after three that can be undone."""
    nodes = [node(name, *before, compensate="undo") for before, name in (("", "a"), ("a", "b"), ("b", "c"))]
    flow = await submitted(cluster, *nodes, node("d", "c"))
    for name in "abc":
        assert await flow.started() == [name]
        await flow.end(name)
    assert await flow.started() == ["d"]
    return flow


async def test_a_failed_node_says_why(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"))
    assert await flow.started() == ["a"]
    await flow.end("a", how="dead")
    (shown,) = (await flow.view()).nodes
    assert (shown.state, shown.reason) == (NodeState.FAILED, "no")


async def test_how_far_the_undoing_of_each_node_is(cluster: Cluster) -> None:
    flow = await to_undo(cluster)
    assert await compensations(flow) == {}
    await flow.end("d", how="dead")
    await flow.settle()
    undo = await flow.undoing()
    assert await compensations(flow) == {
        "a": ("pending", False, ""),
        "b": ("pending", False, ""),
        "c": ("running", True, ""),
    }
    shown = (await flow.view()).nodes[2].compensation
    assert shown is not None
    assert shown.job_id == undo.id
    for name in "cba":
        await flow.undo(name)
    assert await compensations(flow) == dict.fromkeys("abc", ("succeeded", True, ""))


async def test_what_could_not_be_undone_says_why_and_what_comes_before_is_not_undone(cluster: Cluster) -> None:
    flow = await to_undo(cluster)
    await flow.end("d", how="dead")
    await flow.settle()
    await flow.undo("c")
    await flow.undo("b", how="dead")
    assert (await flow.view()).status == "failed"
    assert await compensations(flow) == {
        "a": ("skipped", False, ""),
        "b": ("failed", True, "no"),
        "c": ("succeeded", True, ""),
    }
