"""A unique key whose job has expired, before that has been written down."""

from __future__ import annotations

import pytest

from ironforge.errors import Duplicate
from ironforge.job.record import Job, JobState
from ironforge.job.uniqueness import OnConflict, UniqueUse
from ironforge.store import Accepted
from tests.store.expiring import SOON_MS, lapsed, sweep
from tests.store.kit import Cluster, dead
from tests.store.uniqueness import REJECT, holders, submit, unique

CONFLICTS = pytest.mark.parametrize("on_conflict", ["return", "reject", "replace", "debounce"])


async def expired(cluster: Cluster, use: UniqueUse) -> Job:
    one = unique(use)
    await submit(cluster, one, expires_in_ms=SOON_MS)
    await lapsed(cluster, one)
    return one


@CONFLICTS
async def test_the_next_one_has_it_at_once_and_keeps_it(cluster: Cluster, on_conflict: OnConflict) -> None:
    await expired(cluster, REJECT)
    second = unique(UniqueUse("a", on_conflict=on_conflict))
    assert await submit(cluster, second) == Accepted(second.id, JobState.QUEUED)
    await sweep(cluster)
    assert await holders(cluster) == {second.id}


async def test_a_dead_job_is_revived_with_it(cluster: Cluster) -> None:
    node = await cluster.node()
    first = unique(REJECT)
    await submit(cluster, first)
    await node.work.bury([dead(each) for each in await node.work.fetch(1)])
    await expired(cluster, REJECT)
    await cluster.store_client.producer.retry(first.id, reset_retry_count=True)
    assert await holders(cluster) == {first.id}


async def test_a_time_goes_on_as_after_any_other_end(cluster: Cluster) -> None:
    first = await expired(cluster, UniqueUse("a", "", 60_000))
    answer = await submit(cluster, unique(UniqueUse("a", "", 60_000)))
    assert answer == Accepted(first.id, JobState.CANCELLED, deduplicated=True)
    with pytest.raises(Duplicate, match="is cancelled"):
        await submit(cluster, unique(UniqueUse("a", "", 60_000, "replace")))
