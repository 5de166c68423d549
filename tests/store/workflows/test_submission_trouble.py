"""Workflows that are submitted while something is wrong with the server: nothing is stored twice or in part."""

from __future__ import annotations

import asyncio

import pytest

from ironforge.errors import StoreError, StoreUnavailable
from ironforge.job.record import format_id, new_id
from tests.store.kit import Cluster
from tests.store.workflows.flow import submission
from tests.workflows.documents import node, workflow


async def test_a_dead_connection_is_made_anew_and_nothing_is_stored_twice(cluster: Cluster) -> None:
    workflows = cluster.store_client.workflows
    await workflows.submit([submission(workflow(node("a")))])
    cluster.raw.client_kill_filter(_type="normal", skipme=True)
    one = submission(workflow(node("a")))
    assert await workflows.submit([one]) == [(one.id, "running", False)]
    assert cluster.raw.zcard(cluster.keys.waiting("workflow")) == 2


async def test_a_server_that_forgot_the_script_is_told_it_again(cluster: Cluster) -> None:
    workflows = cluster.store_client.workflows
    await workflows.submit([submission(workflow(node("a")))])
    cluster.raw.script_flush()
    one = submission(workflow(node("a")))
    assert await workflows.submit([one]) == [(one.id, "running", False)]


async def test_one_that_is_not_as_safe_as_was_asked_is_said_to_be_stored(cluster: Cluster) -> None:
    cluster.with_settings(durability="replicated", replicas=1)
    one = submission(workflow(node("a")))
    with pytest.raises(StoreUnavailable) as told:
        await cluster.store_client.workflows.submit([one])
    assert told.value.code == "durability_not_confirmed"
    assert f"workflow {format_id(one.id)} is stored" in str(told.value)
    assert cluster.raw.hexists(cluster.keys.index, one.id)


async def test_one_whose_keys_hold_something_else_is_refused_and_others_are_not(cluster: Cluster) -> None:
    workflows = cluster.store_client.workflows
    bad, good = (submission(workflow(node("a")), id=new_id()) for _ in range(2))
    key = cluster.keys.graph(bad.id.hex())
    cluster.raw.set(key, "something else")
    answers = await asyncio.gather(workflows.submit([bad]), workflows.submit([good]), return_exceptions=True)
    cluster.raw.delete(key)
    assert isinstance(answers[0], StoreError)
    assert key in str(answers[0])
    assert answers[1] == [(good.id, "running", False)]
    assert not cluster.raw.hexists(cluster.keys.index, bad.id)
