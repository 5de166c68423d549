"""What cannot be read is put aside with all that is known of it, and comes back where it can be read."""

from __future__ import annotations

from ironforge.job.record import decode, encode
from tests.store.kit import Cluster, job


async def test_a_due_job_without_a_place_is_put_aside_and_is_not_due_for_ever(cluster: Cluster) -> None:
    """Nothing that was accepted is thrown away because it cannot be understood."""
    node = await cluster.node()
    lost = job()
    cluster.raw.zadd(cluster.keys.scheduled, {lost.id: 1})
    assert (0, None) == (await node.work.promote())[:2]
    assert 0 == cluster.raw.zcard(cluster.keys.scheduled)
    [(_, aside)] = cluster.raw.xrange(cluster.keys.quarantine)
    assert lost.id == aside[b"id"]


async def test_what_was_put_aside_comes_back_once(cluster: Cluster) -> None:
    one, other = await cluster.node(), await cluster.node()
    back = job(queue="elsewhere")
    cluster.raw.xadd(cluster.keys.quarantine, {"record": b"no job"})
    cluster.raw.xadd(cluster.keys.quarantine, {"stream": "elsewhere:2", "record": encode(back), "reason": "newer"})
    assert (1, 0, 0) == (await one.work.restore(), await one.work.restore(), await other.work.restore())
    assert {back.id} == set(cluster.entries())
    assert [b"no job"] == [fields[b"record"] for _, fields in cluster.raw.xrange(cluster.keys.quarantine)]
    assert back == (await cluster.store_client.inspector.get(back.id)).job


async def test_a_job_that_is_known_is_not_brought_back_a_second_time(cluster: Cluster) -> None:
    node, known = await cluster.node(), job()
    await cluster.submit(known)
    cluster.raw.xadd(cluster.keys.quarantine, {"record": encode(known)})
    assert 0 == await node.work.restore()
    assert 1 == cluster.raw.xlen(cluster.keys.quarantine)  # should the index be wrong, this copy is all there is
    assert [known] == [decode(delivery.record) for delivery in await node.work.fetch(5)]
