"""The parent of node processes: a real parent, real children, real signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ironforge.child import ParentLink
from ironforge.processes import MAX_BACKOFF_SECONDS, MIN_BACKOFF_SECONDS, YOUNG_SECONDS, restart_delay

PARENT = """
import asyncio, sys
from ironforge import processes
from ironforge.config import load
from ironforge.errors import ConfigError
from ironforge.telemetry import configure_logging
processes.GRACE_SECONDS = 0.3
processes.SILENCE_SECONDS = 3.0
processes.YOUNG_SECONDS = 0.0
configure_logging(load())
try:
    sys.exit(asyncio.run(processes.run_processes(sys.argv[1:], load())))
except ConfigError as error:
    sys.exit(str(error))
"""

# A child writes what it sees into a diary, the programs below say how it behaves.
CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
folder, slot = Path(os.environ["FOLDER"]), os.environ["IRONFORGE_SLOT"]
from ironforge.child import ChildStatus, ParentLink
from ironforge.metrics import Metrics

def note(what):
    with (folder / "diary").open("a") as diary:
        diary.write(f"{slot} {os.getpid()} {what}\\n")

async def file(name):
    while not (folder / name).exists():
        await asyncio.sleep(0.01)

async def main():
    terms = asyncio.Queue()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terms.put_nowait, "term")
    link = await ParentLink.open()
    note("start")
    await behave(link, terms)

"""
RUN = "\nasyncio.run(main())\n"

READY_UNTIL_TERM = """
async def behave(link, terms):
    metrics = Metrics()
    metrics.completed("a.kind", [0.1])
    metrics.active_jobs.set(2)
    reporting = asyncio.create_task(link.keep_reporting(lambda: ChildStatus(ready=True)))
    await terms.get()
    note("term")
"""
READY_WHEN_TOLD = """
async def behave(link, terms):
    link.report(ChildStatus(ready=False, problems=("redis is away",)))
    await file("go")
    link.report(ChildStatus(ready=True))
    await terms.get()
"""
ENDS_AT_SECOND_TERM = """
async def behave(link, terms):
    link.report(ChildStatus(ready=True))
    await terms.get()
    note("first")
    await terms.get()
    note("second")
"""
IGNORES_TERM = """
async def behave(link, terms):
    link.report(ChildStatus(ready=True))
    await asyncio.Event().wait()
"""
ONE_IS_MISCONFIGURED = """
async def behave(link, terms):
    if slot == "1":
        await file("go")
        sys.exit(2)
    await terms.get()
    note("term")
"""
EXITS_WITH_2_AFTER_A_CRASH = """
async def behave(link, terms):
    runs = sum(line.endswith("start\\n") for line in (folder / "diary").open())
    if runs <= 2:
        sys.exit(runs)
    link.report(ChildStatus(ready=True))
    await terms.get()
"""
WATCHES_ITS_PARENT = """
async def behave(link, terms):
    link.report(ChildStatus(ready=True))
    await link.gone()
    link.report(ChildStatus(ready=False))
    note("gone")
"""
FALLS_SILENT = """
async def behave(link, terms):
    link.report(ChildStatus(ready=True))
    await terms.get()
"""
REPORTS_NONSENSE = """
async def behave(link, terms):
    link._writer.write(b"nonsense\\n")
    await terms.get()
"""


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)


class Node:
    """A running parent, seen from outside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, behaviour: str, **settings: object) -> None:
        self.start_command([sys.executable, "-c", CHILD + behaviour + RUN], **settings)

    def start_command(self, command: list[str], **settings: object) -> None:
        chosen = {"processes": 2, "drain_seconds": 30, "node_http_port": self.port, "log_format": "json"}
        environment = {f"IRONFORGE_{name.upper()}": str(value) for name, value in (chosen | settings).items()}
        temporary = self.folder / "tmp"
        temporary.mkdir()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PARENT, *command],
                env={**os.environ, **environment, "FOLDER": str(self.folder), "TMPDIR": str(temporary)},
                stderr=log,
                start_new_session=True,
            )

    def get(self, path: str) -> tuple[int, str]:
        """Status and body; status 0 while nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def diary(self) -> list[list[str]]:
        """`[slot, pid, what]` for everything that children noted."""
        path = self.folder / "diary"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def noted(self, what: str) -> list[str]:
        """The slots whose children noted this, in order."""
        return sorted(slot for slot, _pid, noted in self.diary() if noted == what)

    def until_ready(self) -> None:
        eventually(lambda: self.get("/readyz")[0] == 200, "the node is ready")

    def until_not_ready(self, because: str) -> None:
        eventually(lambda: because in self.get("/readyz")[1], f"the node is not ready because {because!r}")

    def until_noted(self, what: str, slots: list[str]) -> None:
        eventually(lambda: self.noted(what) == slots, f"{what!r} is noted by {slots}")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def exit_code(self) -> int:
        return self.process.wait(30)

    def clean(self) -> None:
        pids = [int(pid) for _slot, pid, _what in self.diary()]
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in pids:
            eventually(lambda pid=pid: not alive(pid), f"child {pid} has ended with its parent")


def alive(pid: int) -> bool:
    """A child that nobody waits for stays a zombie where there is no init: that is not alive."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    yield node
    node.clean()


@pytest.mark.parametrize(
    ("previous_seconds", "lived_seconds", "expected"),
    [
        (0.0, YOUNG_SECONDS, 0.0),
        (8.0, YOUNG_SECONDS, 0.0),
        (0.0, 0.1, MIN_BACKOFF_SECONDS),
        (0.5, 0.1, 1.0),
        (4.0, YOUNG_SECONDS - 0.1, 8.0),
        (8.0, 0.1, MAX_BACKOFF_SECONDS),
        (10.0, 0.1, MAX_BACKOFF_SECONDS),
    ],
)
def test_a_child_restarts_at_once_unless_it_died_young(previous_seconds, lived_seconds, expected):
    assert expected == restart_delay(previous_seconds, lived_seconds)


def test_the_node_is_ready_when_all_of_its_processes_are(node):
    node.start(READY_WHEN_TOLD)
    node.until_not_ready("process 1: redis is away")
    status, body = node.get("/readyz")
    assert 503 == status
    assert ["process 0: redis is away", "process 1: redis is away"] == json.loads(body)["problems"]
    assert 200 == node.get("/livez")[0]
    (node.folder / "go").touch()
    node.until_ready()
    node.signal(signal.SIGTERM)
    assert 0 == node.exit_code()


def test_a_killed_process_is_replaced_and_the_metrics_count_on(node):
    node.start(READY_UNTIL_TERM)
    node.until_ready()
    victim = next(int(pid) for slot, pid, _what in node.diary() if slot == "0")
    os.kill(victim, signal.SIGKILL)
    node.until_noted("start", ["0", "0", "1"])
    node.until_ready()
    found = node.get("/metrics")[1].splitlines()
    assert 'ironforge_jobs_completed_total{kind="a.kind"} 3.0' in found
    assert "ironforge_active_jobs 4.0" in found
    node.signal(signal.SIGTERM)
    assert 0 == node.exit_code()
    assert [] == list((node.folder / "tmp").iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_all_processes_and_the_parent_exits_with_0(node, number):
    node.start(READY_UNTIL_TERM)
    node.until_ready()
    node.signal(number)
    assert 0 == node.exit_code()
    assert ["0", "1"] == node.noted("term")


def test_a_second_signal_reaches_the_processes_and_until_then_the_node_is_not_ready(node):
    node.start(ENDS_AT_SECOND_TERM)
    node.until_ready()
    node.signal(signal.SIGTERM)
    node.until_noted("first", ["0", "1"])
    assert ["draining: this node is being stopped"] == json.loads(node.get("/readyz")[1])["problems"]
    node.signal(signal.SIGTERM)
    assert 0 == node.exit_code()
    assert ["0", "1"] == node.noted("second")


def test_a_process_that_does_not_end_in_time_is_killed(node):
    node.start(IGNORES_TERM, drain_seconds=0)
    node.until_ready()
    node.signal(signal.SIGTERM)
    assert 0 == node.exit_code()
    assert not [pid for _slot, pid, _what in node.diary() if alive(int(pid))]
    assert "killing processes" in node.log.read_text()


def test_a_wrong_configuration_at_the_first_start_ends_the_whole_node(node):
    node.start(ONE_IS_MISCONFIGURED)
    node.until_noted("start", ["0", "1"])
    (node.folder / "go").touch()
    assert 2 == node.exit_code()
    assert ["0"] == node.noted("term")


def test_the_same_code_later_is_an_ordinary_crash(node):
    node.start(EXITS_WITH_2_AFTER_A_CRASH, processes=1)
    node.until_noted("start", ["0", "0", "0"])
    node.until_ready()
    node.signal(signal.SIGTERM)
    assert 0 == node.exit_code()


def test_processes_learn_that_their_parent_was_killed(node):
    node.start(WATCHES_ITS_PARENT)
    node.until_ready()
    node.process.kill()
    node.until_noted("gone", ["0", "1"])


def test_a_process_that_falls_silent_makes_the_node_not_ready(node):
    node.start(FALLS_SILENT, processes=1)
    node.until_ready()
    node.until_not_ready("process 0: has not reported for")
    node.signal(signal.SIGTERM)
    assert 0 == node.exit_code()


def test_reports_that_cannot_be_read_leave_the_process_running_and_not_ready(node):
    node.start(REPORTS_NONSENSE, processes=1)
    eventually(lambda: "cannot be read" in node.log.read_text(), "the parent says so")
    assert ["process 0: starting"] == json.loads(node.get("/readyz")[1])["problems"]
    node.signal(signal.SIGTERM)
    assert 0 == node.exit_code()


def test_a_command_that_cannot_be_started_is_tried_again_until_the_end(node):
    node.start_command(["/nowhere/python"], processes=1)
    eventually(lambda: node.log.read_text().count("cannot be started") >= 2, "it was tried twice")
    node.signal(signal.SIGTERM)
    assert 0 == node.exit_code()


def test_a_taken_port_is_a_configuration_error_before_anything_starts(node):
    with socket.create_server(("127.0.0.1", node.port)):
        node.start(READY_UNTIL_TERM)
        assert 1 == node.exit_code()
    assert f"IRONFORGE_NODE_HTTP_PORT={node.port}" in node.log.read_text()
    assert [] == node.diary()


def test_without_a_port_the_node_runs_without_probes(node):
    node.start(READY_UNTIL_TERM, node_http_port=0)
    node.until_noted("start", ["0", "1"])
    assert 0 == node.get("/livez")[0]
    node.signal(signal.SIGTERM)
    assert 0 == node.exit_code()


async def test_a_process_that_nobody_started_has_no_link(monkeypatch):
    monkeypatch.delenv("IRONFORGE_PARENT_FD", raising=False)
    assert await ParentLink.open() is None
