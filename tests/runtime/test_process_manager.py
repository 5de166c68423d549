"""The parent of node processes: a real parent, real children, real signals."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironforge.runtime.parent_pipe import ParentLink
from ironforge.runtime.process_manager import MAX_BACKOFF_SECONDS, MIN_BACKOFF_SECONDS, YOUNG_SECONDS, restart_delay
from tests.runtime.node_parent import Node, alive, eventually

pytestmark = pytest.mark.slow

# How a child behaves: `behave` of the program in node_parent.
READY_UNTIL_TERM = """
async def behave(link, terms, gone):
    metrics = Metrics()
    metrics.completed("a.kind", [0.1])
    metrics.active_jobs.set(2)
    become(link)
    await terms.get()
    note("term")
"""
READY_WHEN_TOLD = """
async def behave(link, terms, gone):
    become(link, "redis is away")
    await file("go")
    become(link)
    await terms.get()
"""
ENDS_AT_SECOND_TERM = """
async def behave(link, terms, gone):
    become(link)
    await terms.get()
    note("first")
    await terms.get()
    note("second")
"""
IGNORES_TERM = """
async def behave(link, terms, gone):
    become(link)
    await asyncio.Event().wait()
"""
ONE_IS_MISCONFIGURED = """
async def behave(link, terms, gone):
    if slot == "1":
        await file("go")
        sys.exit(2)
    await terms.get()
    note("term")
"""
EXITS_WITH_2_AFTER_A_CRASH = """
async def behave(link, terms, gone):
    runs = sum(line.endswith("start\\n") for line in (folder / "diary").open())
    if runs <= 2:
        sys.exit(runs)
    become(link)
    await terms.get()
"""
WATCHES_ITS_PARENT = """
async def behave(link, terms, gone):
    become(link)
    await gone
    become(link, "stopping")
    note("gone")
"""
FALLS_SILENT = """
async def behave(link, terms, gone):
    link.report(ChildStatus(ready=True))
    await terms.get()
"""
REPORTS_NONSENSE = """
async def behave(link, terms, gone):
    link._writer.write(b"nonsense\\n\\xff\\n" + b"[" * 50_000 + b"\\n")
    link.report(ChildStatus(ready=True))
    await terms.get()
"""


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
    assert restart_delay(previous_seconds, lived_seconds) == expected


def test_the_node_is_ready_when_all_of_its_processes_are(node):
    node.start(READY_WHEN_TOLD)
    node.until_not_ready("process 0: redis is away; process 1: redis is away")
    status, body = node.get("/readyz")
    assert status == 503
    assert json.loads(body)["problems"] == ["process 0: redis is away", "process 1: redis is away"]
    assert node.get("/livez")[0] == 200
    (node.folder / "go").touch()
    node.until_ready()
    node.signal(signal.SIGTERM)
    assert node.exit_code() == 0


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
    assert node.exit_code() == 0
    assert list((node.folder / "tmp").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_all_processes_and_the_parent_exits_with_0(node, number):
    node.start(READY_UNTIL_TERM)
    node.until_ready()
    node.signal(number)
    assert node.exit_code() == 0
    assert node.noted("term") == ["0", "1"]


def test_a_second_signal_reaches_the_processes_and_until_then_the_node_is_not_ready(node):
    node.start(ENDS_AT_SECOND_TERM)
    node.until_ready()
    node.signal(signal.SIGTERM)
    node.until_noted("first", ["0", "1"])
    assert json.loads(node.get("/readyz")[1])["problems"] == ["draining: this node is being stopped"]
    node.signal(signal.SIGTERM)
    assert node.exit_code() == 0
    assert node.noted("second") == ["0", "1"]


def test_a_process_that_does_not_end_in_time_is_killed(node):
    node.start(IGNORES_TERM, drain_seconds=0)
    node.until_ready()
    node.signal(signal.SIGTERM)
    assert node.exit_code() == 0
    assert not [pid for _slot, pid, _what in node.diary() if alive(int(pid))]
    assert "killing processes" in node.log.read_text()


def test_a_wrong_configuration_at_the_first_start_ends_the_whole_node(node):
    node.start(ONE_IS_MISCONFIGURED)
    node.until_noted("start", ["0", "1"])
    (node.folder / "go").touch()
    assert node.exit_code() == 2
    assert node.noted("term") == ["0"]


def test_the_same_code_later_is_an_ordinary_crash(node):
    node.start(EXITS_WITH_2_AFTER_A_CRASH, processes=1)
    node.until_noted("start", ["0", "0", "0"])
    node.until_ready()
    node.signal(signal.SIGTERM)
    assert node.exit_code() == 0


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
    assert node.exit_code() == 0


def test_reports_that_cannot_be_read_are_passed_over_and_the_next_one_counts(node):
    node.start(REPORTS_NONSENSE, processes=1)
    eventually(lambda: node.log.read_text().count("cannot be read") == 3, "the parent to say so of each")
    node.until_ready()
    node.signal(signal.SIGTERM)
    assert node.exit_code() == 0


def test_a_command_that_cannot_be_started_is_tried_again_until_the_end(node):
    node.start_command(["/nowhere/python"], processes=1)
    eventually(lambda: node.log.read_text().count("cannot be started") >= 2, "it to be tried twice")
    node.signal(signal.SIGTERM)
    assert node.exit_code() == 0


def test_a_taken_port_is_a_configuration_error_before_anything_starts(node):
    with socket.create_server(("127.0.0.1", node.port)):
        node.start(READY_UNTIL_TERM)
        assert node.exit_code() == 1
    assert f"port {node.port} on 127.0.0.1 is in use" in node.log.read_text()
    assert "IRONFORGE_NODE_HTTP_PORT" in node.log.read_text()
    assert node.diary() == []


def test_without_a_port_the_node_runs_without_probes(node):
    node.start(READY_UNTIL_TERM, node_http_port=0)
    node.until_noted("start", ["0", "1"])
    assert node.get("/livez")[0] == 0
    node.signal(signal.SIGTERM)
    assert node.exit_code() == 0


async def test_a_process_that_nobody_started_has_no_link(monkeypatch):
    monkeypatch.delenv("IRONFORGE_PARENT_FD", raising=False)
    assert await ParentLink.open() is None
