"""Jobs with a unique key, for the tests of all that has to know of them."""

from __future__ import annotations

from typing import Any

import msgspec

from ironforge.job.record import Job
from ironforge.job.uniqueness import UniqueUse
from ironforge.store import Accepted, Submission
from tests.store.kit import Cluster, job


def unique(use: UniqueUse, payload: bytes = b"{}", **fields: Any) -> Job:
    return msgspec.structs.replace(job(**fields), version=2, unique=use, payload=payload)


RETURN, REJECT = UniqueUse("a"), UniqueUse("a", on_conflict="reject")
REPLACE = UniqueUse("a", on_conflict="replace")
DEBOUNCE = UniqueUse("a", "queued", on_conflict="debounce")


async def submit(cluster: Cluster, one: Job, **options: Any) -> Accepted:
    return (await cluster.store_client.producer.submit([Submission(one, **options)]))[0]


async def holders(cluster: Cluster, key: str = "k:a") -> set[bytes]:
    return set(cluster.raw.smembers(cluster.keys.unique(key)))
