"""A server that goes away and comes back: the node waits, says that it is not ready, and goes on by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors import dispatcher
from ironforge import node as node_module
from ironforge.config import Settings
from ironforge.embedded import EmbeddedServer
from tests.node.kit import Gate, World, until


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(Settings(data_dir=str(tmp_path / "data"))) as server:
        yield server


async def test_a_node_survives_an_outage_and_settles_afterwards_what_ended_meanwhile(
    own_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "BLOCK_SECONDS", 0.05)
    monkeypatch.setattr(node_module, "DEAF_SECONDS", 0.5)
    monkeypatch.setattr(node_module, "PULSE_SECONDS", 0.02)
    world = World(own_server.url)
    gate = Gate()

    @world.forge.job("long")
    async def long() -> str:
        await gate.pass_through()
        return "kept"

    async with world.node() as node:
        job_id = await world.submit("long")
        await until(lambda: gate.entered, "the job to run")
        await until(lambda: not node.problems(), "the node to be ready")

        own_server.stop()
        gate.open()
        await until(node.problems, "the node to notice that the server is away")
        assert "no answer from the server" in node.problems()[0]
        own_server.start()

        view = await world.completed(job_id)
        await until(lambda: not node.problems(), "the node to be ready again")
        await world.completed(await world.submit("note"))
        assert (b'"kept"', 0, 0) == (view.job.result, view.job.attempt, view.job.crashes)
    await world.close()
