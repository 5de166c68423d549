"""A node that has drained ends, whatever its handlers still hold on to: threads, the loop's pool, processes."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ironforge.job.record import JobState
from tests.execution.isolation.kit import APP, subject
from tests.support.servers import valkey
from tests.support.waiting import PATIENCE_SECONDS, until

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_factories=["asyncio"])]

RUN_NODE = (sys.executable, str(APP), "uvloop")
DEV = (sys.executable, "-m", "ironforge", "dev", APP.stem, "--http-port", "0")
# The handlers hold on for ten times as long.
LIMIT_SECONDS = PATIENCE_SECONDS


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with valkey() as url:
        yield url


@pytest.mark.parametrize("command", [RUN_NODE, DEV], ids=["run_node", "dev"])
@pytest.mark.parametrize(
    ("handlers", "holder"),
    [
        (("sit", {"where": "to_thread"}, 1), "thread uvloop_0"),
        (("sit", {"where": "to_thread"}, 40), "thread uvloop_0"),
        (("sit", {"where": "thread"}, 1), "thread Thread-"),
        (("sit", {"where": "process"}, 1), "process SpawnProcess-1"),
        (("sit_in_thread", None, 1), ""),
        (("ignore_cancellation", None, 1), "its tasks"),
    ],
    ids=["pool", "full pool", "thread", "process", "thread handler", "stubborn"],
)
async def test_a_node_ends_although_a_handler_holds_on(
    server: str, tmp_path: Path, command: tuple[str, ...], handlers: tuple[str, Any, int], holder: str
) -> None:
    kind, payload, jobs = handlers
    async with subject(server, tmp_path, *command, concurrency=64, namespace=f"n{abs(hash(tmp_path))}") as node:
        ids = [await node.forge.submit(kind, payload) for _ in range(jobs)]
        await until(lambda: len(node.pids("sits")) == jobs, "all handlers to run")

        node.process.send_signal(signal.SIGTERM)
        told = time.monotonic()
        assert await node.ended(LIMIT_SECONDS) == 0
        sys.stdout.write(f"\nended {time.monotonic() - told:.1f} s after it was told, with a drain of 0.5 s\n")

        views = [await node.view(job_id) for job_id in ids]
        assert {(view.state, view.job.attempt, view.job.crashes) for view in views} == {(JobState.QUEUED, 0, 0)}
        log = node.log.read_text()
        assert holder in log.partition("kept from its end by")[2]
        assert ("ends by force" in log) == (holder != "")


@pytest.mark.parametrize("when", ["running", "cancelled"])
async def test_a_node_ends_although_a_handler_blocks_its_loop(server: str, tmp_path: Path, when: str) -> None:
    async with subject(server, tmp_path, *RUN_NODE, namespace=f"n{abs(hash(tmp_path))}") as node:
        job_id = await node.forge.submit("block", {"when": when})
        await until(lambda: len(node.pids("sits")) == 1, "the handler to run")
        node.process.send_signal(signal.SIGTERM)
        assert await node.ended(LIMIT_SECONDS) == 0
        assert (await node.view(job_id)).job.attempt == 0
        assert "a handler blocks its event loop" in node.log.read_text()
