"""A real server for every test: Valkey from the wheel, and Redis where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from tests.store.kit import Cluster
from tests.support.servers import valkey


@pytest.fixture(scope="session", params=["valkey", "redis"])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a server that nothing else uses."""
    if request.param == "valkey":
        with valkey() as url:
            yield url
        return
    binary = shutil.which("redis-server")
    if binary is None:
        if os.environ.get("CI") == "true":
            pytest.fail("redis-server is not installed: apt-get install redis-server")
        pytest.skip("redis-server is not installed")
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "redis.sock"
        command = [binary, "--port", "0", "--unixsocket", str(socket), "--dir", folder, "--save", ""]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            url = f"unix://{socket}"
            _wait_for(url)
            yield url
            process.terminate()


def _wait_for(url: str) -> None:
    patience = Retry(ConstantBackoff(0.05), 200)
    with redis.Redis.from_url(url, retry=patience, retry_on_error=[redis.ConnectionError]) as client:
        client.ping()


@pytest.fixture
async def cluster(server: str) -> AsyncIterator[Cluster]:
    cluster = Cluster(server)
    yield cluster
    await cluster.close()
