"""Workflows go on by the server's clock alone: nodes may be ahead of it, or behind."""

from __future__ import annotations

import pytest

from ironforge.store.steps import ends
from ironforge.store.workflows import finishing
from tests.store.kit import Cluster, now_ms
from tests.store.workflows.flow import submitted
from tests.workflows.documents import node

HALF_AN_HOUR_MS = 1_800_000


@pytest.mark.parametrize("ahead_ms", [HALF_AN_HOUR_MS, -HALF_AN_HOUR_MS])
async def test_a_node_whose_clock_is_wrong_holds_no_workflow_up(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, ahead_ms: int
) -> None:
    for module in (ends, finishing):
        monkeypatch.setattr(module, "now_ms", lambda: now_ms() + ahead_ms)
    flow = await submitted(cluster, node("a"), node("b", "a"), on_success="hear", on_failure="hear")
    await flow.started()
    await flow.end("a", move=False)
    await flow.try_once()
    assert await flow.started() == ["b"]
    await flow.end("b", move=False)
    await flow.try_once()
    assert (await flow.view()).status == "completed"


async def test_what_is_over_by_a_server_whose_clock_was_put_back_ends_now(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"))
    await flow.started()
    await flow.end("a", move=False)
    (item,) = flow.items()
    cluster.raw.zadd(flow.keys.advance, {item: now_ms() + HALF_AN_HOUR_MS})
    await flow.node.work._advancer._advance()  # type: ignore[attr-defined]
    cluster.raw.zadd(flow.keys.finishing, {flow.id: now_ms() + HALF_AN_HOUR_MS})
    await flow.try_once()
    assert (await flow.view()).status == "completed"
