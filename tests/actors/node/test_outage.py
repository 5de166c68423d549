"""A server that goes away and comes back: the node waits, says that it is not ready, and goes on by itself."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironforge.actors import dispatcher
from ironforge.actors.messages import Heard
from ironforge.actors.session import ASK_SECONDS, NODE
from ironforge.runtime import node as node_module
from ironforge.runtime.embedded_server import EmbeddedServer
from ironforge.settings import Settings
from tests.actors.node.kit import Gate, World, until


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(Settings(data_dir=str(tmp_path / "data"))) as server:
        yield server


async def test_a_node_that_was_busy_for_long_has_not_been_deaf(world: World) -> None:
    gate = Gate()

    @world.forge.job("long")
    async def long() -> None:
        await gate.pass_through()

    async with world.node(concurrency=1) as node:
        dispatcher = node.system.ref(f"{NODE}/dispatcher")
        job_id = await world.submit("long")
        await until(lambda: gate.entered, "the job to run")
        busy_since = time.monotonic()
        await until(lambda: time.monotonic() - busy_since > 0.5, "it to have run for a while")
        assert await dispatcher.ask(Heard(), timeout_seconds=ASK_SECONDS) == 0.0
        opened = time.monotonic()
        gate.open()
        await world.completed(job_id)
        # It asks again, but nobody has answered yet: what counts is since when it has been waiting.
        unheard_seconds = await dispatcher.ask(Heard(), timeout_seconds=ASK_SECONDS)
        assert unheard_seconds <= time.monotonic() - opened


async def test_a_server_that_accepts_and_never_answers_makes_the_node_unready_too(
    own_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "BLOCK_SECONDS", 0.05)
    monkeypatch.setattr(node_module, "DEAF_SECONDS", 0.5)
    monkeypatch.setattr(node_module, "PULSE_SECONDS", 0.02)
    world = World(own_server.url)
    assert own_server._process is not None
    async with world.node() as node:
        await until(lambda: not node.problems(), "the node to be ready")
        own_server._process.send_signal(signal.SIGSTOP)
        try:
            await until(node.problems, "the node to notice that nobody answers")
        finally:
            own_server._process.send_signal(signal.SIGCONT)
        await until(lambda: not node.problems(), "the node to be ready again")
        await world.completed(await world.submit("note"))
    await world.close()


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
        assert view.job.result == b'"kept"'
        assert view.job.attempt == 0
        assert view.job.crashes == 0
    await world.close()
