"""Workflows go on and end while the server has no memory left: only what was accepted and is done sets some free."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from ironforge.job.limits import Limit
from tests.store.kit import Cluster
from tests.store.workflows.flow import submitted
from tests.workflows.documents import node


@contextlib.contextmanager
def full(cluster: Cluster) -> Iterator[None]:
    cluster.raw.config_set("maxmemory", "1mb")
    try:
        yield
    finally:
        cluster.raw.config_set("maxmemory", "0")


async def test_a_workflow_ends(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), node("b", "a"), on_success="tell")
    with full(cluster):
        for name in "ab":
            assert await flow.started() == [name]
            await flow.end(name)
        await flow.settle()
        assert (await flow.view()).status == "completed"
        assert await flow.started() == []
    assert [job.kind for job in flow.told] == ["tell"]


@pytest.mark.parametrize("options", [{"unique": {"key": "one"}}, {"limits": [{"name": "one", "key": "a"}]}])
async def test_a_node_with_options_starts(cluster: Cluster, options: dict[str, object]) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=1))
    flow = await submitted(cluster, node("a"), node("b", "a", options=options))
    assert await flow.started() == ["a"]
    with full(cluster):
        await flow.end("a")
        await flow.settle()
        assert await flow.started() == ["b"]


async def test_what_has_failed_is_undone(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a", compensate="undo"), node("b", "a"))
    assert await flow.started() == ["a"]
    with full(cluster):
        await flow.end("a")
        assert await flow.started() == ["b"]
        await flow.end("b", how="dead")
        await flow.settle()
        await flow.undo("a")
        assert (await flow.view()).status == "failed"
