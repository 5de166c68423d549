"""One running installation for the tests that only use it, and one bare server for those that ruin it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.cli.kit import Dev
from tests.support.servers import valkey


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    with Dev(tmp_path_factory.mktemp("dev")) as running:
        yield running


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with valkey(appendonly="yes", appendfsync="everysec") as url:
        yield url


@pytest.fixture
def client(server: str) -> Iterator[redis.Redis]:
    """The server, empty and well configured; whatever a test changes is put back."""
    with redis.Redis.from_url(server) as connection:
        connection.flushall()
        yield connection
        connection.config_set("maxmemory-policy", "noeviction")
        connection.config_set("appendonly", "yes")
