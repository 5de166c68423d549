"""Jobs that expire, once a node has them: what has started, or may have, expires no more; what has not does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ironforge.job.crashes import requeued
from ironforge.job.limits import Limit, LimitUse
from ironforge.job.record import Job, JobState
from ironforge.store import Rewrite
from ironforge.store.expiry import AGAIN_MS
from tests.store.expiring import (
    AS_EXPIRED,
    SOON_MS,
    UNIQUE,
    expiring,
    lapsed,
    look,
    look_again,
    moments,
    submit,
    sweep,
)
from tests.store.kit import (
    HOUR_MS,
    Cluster,
    Node,
    completed,
    dead,
    ids_in,
    job,
    job_in,
    now_ms,
    retry,
    rewrite,
    settle,
)


async def test_one_that_a_node_has_is_left_to_that_node(cluster: Cluster) -> None:
    node = await cluster.node()
    one = expiring()
    await submit(cluster, one)
    [delivery] = await node.work.fetch(1)
    await lapsed(cluster, one)
    before = cluster.raw.hget(cluster.keys.index, one.id)
    await sweep(cluster)
    assert (await look(cluster, one))[0] is JobState.RUNNING
    assert cluster.raw.hget(cluster.keys.index, one.id) == before  # and it is not told to stop
    assert now_ms() < cluster.raw.zscore(cluster.keys.expiries, one.id) <= now_ms() + AGAIN_MS
    await settle(node, [delivery])
    look_again(cluster, one)
    await sweep(cluster)
    assert moments(cluster) == []
    assert cluster.totals().get("expired") is None


async def test_one_that_a_node_hands_back_without_having_started_it_still_expires(cluster: Cluster) -> None:
    node = await cluster.node()
    one = expiring()
    await submit(cluster, one)
    [(stream, entry, record)] = await node.work.fetch(1)
    back = requeued(job_in((stream, entry, record)), 3, may_have_started=False)
    await node.work.requeue([Rewrite.of(stream, entry, back)])
    await lapsed(cluster, one)
    await sweep(cluster)
    assert await look(cluster, one) == AS_EXPIRED


async def retried(cluster: Cluster, node: Node, _one: Job) -> None:
    await node.work.park([retry(each, HOUR_MS) for each in await node.work.fetch(1)])


async def snoozed(cluster: Cluster, node: Node, _one: Job) -> None:
    await node.work.park([rewrite(each, HOUR_MS) for each in await node.work.fetch(1)])


async def taken_over(cluster: Cluster, node: Node, _one: Job) -> None:
    await node.work.fetch(1)
    cluster.lapse(node)
    other = await cluster.node()
    assert await other.leases.take_over(other.lease, node.lease.node) == 1


async def revived(cluster: Cluster, node: Node, one: Job) -> None:
    await node.work.bury([dead(each) for each in await node.work.fetch(1)])
    await cluster.store_client.producer.retry(one.id, reset_retry_count=True)


@pytest.mark.parametrize("start_again", [retried, snoozed, taken_over, revived])
async def test_one_that_has_started_expires_no_more(cluster: Cluster, start_again: Any) -> None:
    node, one = await cluster.node(), expiring()
    await submit(cluster, one)
    await start_again(cluster, node, one)
    look_again(cluster, one)
    while now_ms() <= one.created_ms + 2 * SOON_MS:
        await asyncio.sleep(0.001)
    await sweep(cluster)
    assert (await look(cluster, one))[0] in (JobState.QUEUED, JobState.SCHEDULED)
    assert moments(cluster) == []


async def test_a_dead_job_does_not_expire(cluster: Cluster) -> None:
    node, one = await cluster.node(), expiring()
    await submit(cluster, one)
    await node.work.bury([dead(each) for each in await node.work.fetch(1)])
    await lapsed(cluster, one)
    await sweep(cluster)
    assert await look(cluster, one) == (JobState.DEAD, "no more")
    assert moments(cluster) == []


async def test_what_ended_is_forgotten_at_its_moment(cluster: Cluster) -> None:
    node, one, cancelled = await cluster.node(), expiring(), expiring()
    await submit(cluster, one, cancelled, expires_in_ms=60_000)
    await cluster.store_client.producer.cancel(cancelled.id)
    await settle(node, await node.work.fetch(1))
    await sweep(cluster)
    assert set(moments(cluster)) == {one.id, cancelled.id}
    look_again(cluster, one, cancelled)
    await sweep(cluster)
    assert moments(cluster) == []
    assert cluster.totals().get("expired") is None


async def test_what_a_node_ends_as_expired_counts_as_cancelled_and_holds_nothing(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=1))
    node, limits = await cluster.node(), (LimitUse("one", "a"),)
    one, behind = expiring(unique=UNIQUE, limits=limits), job(limits=limits)
    await submit(cluster, one, expires_in_ms=60_000)
    await cluster.submit(behind)
    [delivery] = await node.work.fetch(2)
    await node.work.settle([completed(delivery, state="expired")])
    assert not cluster.raw.exists(cluster.keys.unique("k:a"))
    assert ids_in(await node.work.fetch(1)) == [behind.id]
    assert {name: cluster.totals().get(name) for name in ("cancelled", "expired", "completed")} == {
        "cancelled": 1,
        "expired": 1,
        "completed": None,
    }
