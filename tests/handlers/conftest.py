"""A real server for tests that submit from Python; every test has a namespace of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ironforge.runtime.embedded_server import EmbeddedServer
from ironforge.settings import Settings


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    folder: Path = tmp_path_factory.mktemp("server")
    with EmbeddedServer(Settings(data_dir=str(folder))) as running:
        yield running


@pytest.fixture
def settings(server: EmbeddedServer, request: pytest.FixtureRequest) -> Settings:
    return Settings(redis_url=server.url, namespace=request.node.name[:100])
