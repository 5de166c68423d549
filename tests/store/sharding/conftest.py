"""A namespace of several shards, here on one server."""

from __future__ import annotations

import pytest

from ironforge.job.limits import Limit
from ironforge.store.server_checks import verify
from tests.store.kit import Cluster
from tests.store.sharding.kit import SHARDS


@pytest.fixture
async def sharded(cluster: Cluster) -> Cluster:
    cluster.with_settings(shards=SHARDS)
    await verify(cluster.settings)
    return cluster


@pytest.fixture
async def with_limits(sharded: Cluster) -> Cluster:
    """`one` lets one job of a key run at once."""
    await sharded.store_client.limits.put("one", Limit(concurrency=1))
    return sharded
