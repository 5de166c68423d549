"""A node that is the first process of a container waits for processes that nobody else waits for, and for no others."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.execution.isolation.kit import APP, subject
from tests.support.servers import valkey
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_factories=["asyncio"])]

NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc")
ADOPT = "import ctypes, os, sys; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"
COMMANDS = {
    "run_node": (sys.executable, str(APP), "uvloop"),
    "node": (sys.executable, "-m", "ironforge", "node", APP.stem, "--node-http-port", "0"),
    "dev": (sys.executable, "-m", "ironforge", "dev", APP.stem, "--http-port", "0"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with valkey() as url:
        yield url


def can_unshare() -> bool:
    return shutil.which("unshare") is not None and not subprocess.run([*NAMESPACE, "true"], check=False).returncode


def children(pid: int) -> list[int]:
    """Zombies as well."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("way", ["pid 1", "subreaper"])
async def test_orphans_are_waited_for(server: str, tmp_path: Path, way: str, command: str) -> None:
    if way == "pid 1" and not can_unshare():
        pytest.skip("this user may not make a PID namespace")
    before = NAMESPACE if way == "pid 1" else (sys.executable, "-c", ADOPT)
    async with subject(server, tmp_path, *before, *COMMANDS[command], namespace=f"{command}-{way[-1]}") as node:
        for _ in range(11):
            assert await node.done("orphan") == b"[3,4]"
        first = children(node.process.pid)[0] if way == "pid 1" else node.process.pid
        await until(lambda: len(children(first)) == 1, "nobody to be there but the process that does the work")

        os.kill(first, signal.SIGTERM)
        assert await node.ended(30) == 0


async def test_the_exit_code_is_that_of_the_process_that_does_the_work(server: str, tmp_path: Path) -> None:
    command = (sys.executable, "-c", ADOPT, *COMMANDS["run_node"])
    async with subject(server, tmp_path, *command) as node:
        await node.done("next")
        os.kill(children(node.process.pid)[0], signal.SIGKILL)
        assert await node.ended(30) == 128 + signal.SIGKILL


async def test_the_node_ends_in_order_when_the_process_that_waits_is_killed(server: str, tmp_path: Path) -> None:
    command = (sys.executable, "-c", ADOPT, *COMMANDS["run_node"])
    async with subject(server, tmp_path, *command) as node:
        await node.done("next")
        node.process.kill()
        await until(lambda: "node has ended" in node.log.read_text(), "the node to drain")
