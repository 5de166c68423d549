"""A unique key whose job is gone, which nothing should leave behind: the next submission takes it, and it counts."""

from __future__ import annotations

import pytest

from ironforge.errors import Duplicate
from ironforge.job.record import new_id
from ironforge.job.uniqueness import UniqueUse
from tests.store.kit import Cluster, dead
from tests.store.uniqueness import REJECT, holders, submit, unique


def lost(cluster: Cluster) -> int:
    return cluster.totals().get("lost_unique_keys", 0)


async def test_the_next_job_takes_it_and_it_is_counted(cluster: Cluster) -> None:
    cluster.raw.sadd(cluster.keys.unique("k:a"), new_id())
    first = unique(REJECT)
    assert (await submit(cluster, first)).id == first.id
    assert await holders(cluster) == {first.id}
    assert lost(cluster) == 1
    assert (await cluster.store_client.inspector.stats()).totals["lost_unique_keys"] == 1


async def test_a_job_that_is_revived_takes_it_as_well(cluster: Cluster) -> None:
    node = await cluster.node()
    first = unique(REJECT)
    await submit(cluster, first)
    await node.work.bury([dead(each) for each in await node.work.fetch(1)])
    cluster.raw.sadd(cluster.keys.unique("k:a"), new_id())
    await cluster.store_client.producer.retry(first.id, reset_retry_count=True)
    assert await holders(cluster) == {first.id}
    assert lost(cluster) == 1


async def test_one_with_a_time_of_its_own_is_not_lost(cluster: Cluster) -> None:
    use = UniqueUse("a", "", for_ms=60_000, on_conflict="reject")
    cluster.raw.sadd(cluster.keys.unique("k:a"), new_id())
    cluster.raw.pexpire(cluster.keys.unique("k:a"), 60_000)
    with pytest.raises(Duplicate):
        await submit(cluster, unique(use))
    assert lost(cluster) == 0


async def test_one_of_a_job_that_may_be_brought_back_is_not_lost(cluster: Cluster) -> None:
    cluster.raw.sadd(cluster.keys.unique("k:a"), new_id())
    cluster.raw.xadd(cluster.keys.quarantine, {"record": b"?"})
    with pytest.raises(Duplicate):
        await submit(cluster, unique(REJECT))
    assert lost(cluster) == 0
    cluster.checked = False
