"""Jobs that expire, for the tests of all that has to know of them."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from ironforge.job.expiry import EXPIRED
from ironforge.job.record import Job, JobState
from ironforge.job.uniqueness import UniqueUse
from ironforge.redis.connection import DoorConnection
from ironforge.redis.shards import shards_of
from ironforge.store import Accepted, Submission
from ironforge.store.expiry import ExpirySweep
from tests.store.kit import Cluster, job, now_ms

SOON_MS = 20
UNIQUE = UniqueUse("a", on_conflict="reject")
# What a look at such a job says.
AS_EXPIRED = (JobState.CANCELLED, EXPIRED)


async def sweep(cluster: Cluster) -> None:
    """What an API process does, until nothing is left to do."""
    async with DoorConnection(cluster.url, cluster.keys.prefix) as link:
        expiry = ExpirySweep(cluster.settings, cluster.keys, link)
        while await expiry.sweep():
            pass
        await expiry.sweep()  # and what has been seen to is forgotten


def expiring(**fields: Any) -> Job:
    return msgspec.structs.replace(job(**fields), version=2)


async def submit(cluster: Cluster, *jobs: Job, expires_in_ms: int = SOON_MS, **options: Any) -> list[Accepted]:
    batch = [Submission(one, expires_in_ms=expires_in_ms, **options) for one in jobs]
    return await cluster.store_client.producer.submit(batch)


async def lapsed(cluster: Cluster, *jobs: Job) -> None:
    """The moments of these are past, by the server's clock."""
    moments = cluster.raw.zmscore(cluster.keys.expiries, [one.id for one in jobs])
    while now_ms() <= max(moments):
        await asyncio.sleep(0.001)


def look_again(cluster: Cluster, *jobs: Job) -> None:
    """Their entries are looked at by the next sweep."""
    for keys in shards_of(cluster.settings):
        for one in jobs:
            cluster.raw.zadd(keys.expiries, {one.id: 1}, xx=True)


def moments(cluster: Cluster) -> list[bytes]:
    """Ids of the jobs that have one."""
    found: list[bytes] = cluster.raw.zrange(cluster.keys.expiries, 0, -1)
    return found


async def look(cluster: Cluster, one: Job) -> tuple[JobState, str]:
    view = await cluster.store_client.inspector.get(one.id)
    return view.state, view.job.reason
