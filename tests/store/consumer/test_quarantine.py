"""What cannot be read is put aside with all that is known of it, and comes back where it can be read."""

from __future__ import annotations

from ironforge.job.record import encode
from tests.store.kit import Cluster, job, job_in


async def test_a_due_job_without_a_place_is_put_aside_and_is_not_due_for_ever(cluster: Cluster) -> None:
    """Nothing that was accepted is thrown away because it cannot be understood."""
    node = await cluster.node()
    lost = job()
    cluster.raw.zadd(cluster.keys.scheduled, {lost.id: 1})
    assert (await node.work.promote())[:2] == (0, None)
    assert cluster.raw.zcard(cluster.keys.scheduled) == 0
    [(_, aside)] = cluster.raw.xrange(cluster.keys.quarantine)
    assert aside[b"id"] == lost.id


async def test_what_was_put_aside_comes_back_once(cluster: Cluster) -> None:
    one, other = await cluster.node(), await cluster.node()
    back = job(queue="elsewhere")
    cluster.raw.xadd(cluster.keys.quarantine, {"record": b"no job"})
    cluster.raw.xadd(cluster.keys.quarantine, {"stream": "elsewhere:2", "record": encode(back), "reason": "newer"})
    assert await one.work.restore() == 1
    assert await one.work.restore() == 0
    assert await other.work.restore() == 0
    assert set(cluster.entries()) == {back.id}
    assert [fields[b"record"] for _, fields in cluster.raw.xrange(cluster.keys.quarantine)] == [b"no job"]
    assert (await cluster.store_client.inspector.get(back.id)).job == back


async def test_a_job_that_is_known_is_not_brought_back_a_second_time(cluster: Cluster) -> None:
    node, known = await cluster.node(), job()
    await cluster.submit(known)
    cluster.raw.xadd(cluster.keys.quarantine, {"record": encode(known)})
    assert await node.work.restore() == 0
    assert cluster.raw.xlen(cluster.keys.quarantine) == 1  # should the index be wrong, this copy is all there is
    assert [job_in(delivery) for delivery in await node.work.fetch(5)] == [known]
