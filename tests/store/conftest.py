"""A real server for every test: Valkey from the wheel, and Redis where it is installed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from ironforge.job.limits import Limit
from tests.store.kit import Cluster
from tests.support.servers import redis_server, valkey


@pytest.fixture(scope="session", params=["valkey", "redis"])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a server that nothing else uses."""
    if request.param == "valkey":
        with valkey() as url:
            yield url
        return
    with redis_server("--port", "0", "--appendonly", "no") as socket:
        yield f"unix://{socket}"


@pytest.fixture
async def cluster(server: str) -> AsyncIterator[Cluster]:
    cluster = Cluster(server)
    yield cluster
    await cluster.close()


@pytest.fixture
async def one(cluster: Cluster) -> Cluster:
    """With the limit `one`: one job of a key at a time."""
    await cluster.store_client.limits.put("one", Limit(concurrency=1))
    return cluster
