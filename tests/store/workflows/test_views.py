"""How much of its results a workflow shows at once."""

from __future__ import annotations

import pytest

from ironforge.store.workflows import reader
from tests.store.kit import Cluster
from tests.store.workflows.flow import submitted
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
