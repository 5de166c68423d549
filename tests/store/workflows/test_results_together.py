"""Jobs that start together ask for the results of other nodes together."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ironforge.redis.family_keys import results_of
from tests.store.kit import Cluster
from tests.store.workflows.flow import Flow, submitted
from tests.store.workflows.test_again import parent_of
from tests.workflows.documents import node, result

MANY = 100


async def results_for(flow: Flow, name: str) -> Any:
    return await flow.node.work.results_for(flow.deliveries[name][0], parent_of(flow, name))


async def fanned(cluster: Cluster, width: int, **more: Any) -> Flow:
    """Its first node has ended, the others run."""
    names = [f"n{number}" for number in range(width)]
    flow = await submitted(cluster, node("a"), *(node(name, "a", payload=result("a.result")) for name in names), **more)
    await flow.started()
    await flow.end("a", result=b'"of a"')
    assert sorted(await flow.started()) == sorted(names)
    return flow


def reads(cluster: Cluster) -> int:
    """How often the server has read from a connection."""
    known: Any = cluster.raw.info("stats")
    return int(known["total_reads_processed"])


async def test_many_jobs_wait_for_few_calls(cluster: Cluster) -> None:
    flow = await fanned(cluster, MANY)
    before = reads(cluster)
    found = await asyncio.gather(*(results_for(flow, name) for name in flow.deliveries))
    assert found == [{"a": b'"of a"'}] * MANY
    assert reads(cluster) - before < MANY / 4


async def test_the_results_of_one_workflow_that_cannot_be_read_keep_no_other_from_its_own(cluster: Cluster) -> None:
    first = await fanned(cluster, 1)
    second = await fanned(cluster, 1, node=first.node)
    key = results_of(first.keys, first.id)
    cluster.raw.rename(key, "aside{}")
    cluster.raw.set(key, "something else")
    waits = asyncio.create_task(results_for(first, "n0"))
    assert await results_for(second, "n0") == {"a": b'"of a"'}
    assert not waits.done()
    cluster.raw.delete(key)
    cluster.raw.rename("aside{}", key)
    assert await waits == {"a": b'"of a"'}


async def test_a_job_that_is_stopped_meanwhile_keeps_no_other_from_its_results(cluster: Cluster) -> None:
    flow = await fanned(cluster, 3)
    names = [*flow.deliveries]
    stopped, *others = [asyncio.create_task(results_for(flow, name)) for name in names]
    await asyncio.sleep(0)
    stopped.cancel()
    assert await asyncio.gather(*others) == [{"a": b'"of a"'}] * 2
    with pytest.raises(asyncio.CancelledError):
        await stopped
