"""The examples as a reader runs them: in processes of their own, against a real server, API and node."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ironforge.api.app import create_app
from ironforge.api.server import serve
from ironforge.runtime.embedded_server import EmbeddedServer
from ironforge.settings import Settings
from ironforge.store import StoreClient

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

ROOT = Path(__file__).parents[2]
DEV = "from ironforge.examples.app import forge; from ironforge.node import run_node; raise SystemExit(run_node(forge))"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(Settings(data_dir=str(tmp_path))) as running:
        yield running


@pytest.fixture
async def environment(server: EmbeddedServer) -> AsyncIterator[dict[str, str]]:
    """With an API that the examples find."""
    settings = Settings(redis_url=server.url)
    store_client = StoreClient(settings)
    runner = await serve(create_app(settings, store_client), "127.0.0.1", 0)
    yield {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "IRONFORGE_REDIS_URL": server.url,
        "IRONFORGE_URL": f"http://127.0.0.1:{runner.addresses[0][1]}",
    }
    await runner.cleanup()
    await store_client.close()


@asynccontextmanager
async def node(environment: dict[str, str], *arguments: str) -> AsyncIterator[None]:
    """A node that must end well when it is told to."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=environment, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    lines = [await process.stderr.readuntil(b"node is running")]
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        lines.append(await process.stderr.read())
        assert await process.wait() == 0, b"".join(lines).decode()


async def output(environment: dict[str, str], name: str, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"ironforge.examples.{name}",
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    text = (await process.communicate())[0].decode()
    assert process.returncode == 0, text
    return text


async def test_the_examples_of_submission_work_with_the_application_of_dev(environment):
    async with node(environment, "-c", DEV):
        submitted, batch, benchmark = [
            await output(environment, *call)
            for call in (("submit_jobs",), ("batch_submit", "100"), ("benchmark", "200"))
        ]
        workflows = await output(environment, "submit_workflows")
    assert submitted.count("completed: {'sent_to'") == 3
    assert "the same key, the same job: True" in submitted
    assert "100 jobs accepted" in batch
    assert "{'number': 99}" in batch
    assert "all done" in benchmark
    album, _, order, _, late, _ = workflows.splitlines()
    assert album.endswith(" completed: {'sent_to': 'ada@example.com'}")
    assert "completed: the parcel of order" in order
    assert "failed: " in late


@pytest.mark.parametrize("name", ["simple_worker", "many_kinds", "lifecycle"])
async def test_the_example_nodes_start_and_stop(environment, name):
    async with node(environment, "-m", f"ironforge.examples.{name}"):
        pass
