"""Real node processes on a real server with a data folder, and a ledger that survives whatever is killed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ironforge.runtime.embedded_server import EmbeddedServer
from ironforge.settings import Settings
from tests.system.faults.kit import Ground


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    with EmbeddedServer(Settings(data_dir=str(tmp_path / "data"), durability="local")) as server:
        ground = Ground(server.url, tmp_path / "ledger")
        ground.server = server
        yield ground
        await ground.aclose()
