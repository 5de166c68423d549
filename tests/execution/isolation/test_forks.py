"""A handler may fork: what becomes of the copy concerns neither its node nor any other job."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.cli.kit import IRONFORGE, environment, ironforge
from tests.execution.isolation.kit import APP, Subject, is_alive, subject
from tests.support.servers import valkey
from tests.support.waiting import eventually, until, whole_lines

# A fork beside running threads has its own perils, above all where everything is slow.
pytestmark = pytest.mark.proof

WAYS = ("on_loop", "then_waits", "in_task", "in_pool", "in_thread", "in_own_thread")


@pytest.fixture
def server() -> Iterator[str]:
    with valkey() as url:
        yield url


@pytest.fixture
async def node(server: str, tmp_path: Path) -> AsyncIterator[Subject]:
    async with subject(server, tmp_path) as one:
        yield one


async def gone(pids: list[int]) -> None:
    await until(lambda: not any(is_alive(pid) for pid in pids), f"{pids} to be gone")


async def test_a_copy_that_comes_back_from_its_handler_ends_there(node: Subject) -> None:
    for way in (*WAYS, "multiprocessing"):
        for then in ("return", "exit", "raise"):
            assert await node.done(way, {"then": then}) == b'"done"'
    assert 3 * len((*WAYS, "multiprocessing")) == len(node.pids("forked"))
    await gone(node.pids("forked"))

    assert (await node.store_client.inspector.stats()).totals["completed"] == len(node.pids("forked"))
    [view] = await node.store_client.inspector.nodes()
    assert f".{node.process.pid}." in view.name


@pytest.mark.unmeasured
async def test_a_signal_to_a_copy_is_its_own(node: Subject) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        for way in (*WAYS, "multiprocessing"):
            await node.done(way, {"then": "stay"})
            await until(lambda: len(node.pids("began")) == len(node.pids("forked")), "the copy to run")
            os.kill(node.pids("began")[-1], number)
            await gone(node.pids("began"))

    await node.done("next")
    assert "draining" not in node.log.read_text()


async def test_a_copy_shares_no_connection_with_its_node(node: Subject) -> None:
    for way in WAYS:
        await node.done(way, {"then": "stay"})
    await until(lambda: len(node.noted("holds")) == len(WAYS), "all copies to say what they hold")

    assert [line.partition(" ")[0] for line in node.noted("holds")] == ["[]"] * len(WAYS)


async def test_a_node_that_is_killed_leaves_no_connection_to_its_copies(node: Subject) -> None:
    await node.done("on_loop", {"then": "stay"})
    node.process.kill()
    await asyncio.to_thread(node.process.wait)

    def clients() -> set[str]:
        names = node.admin.client_list()
        return {client["cmd"] for client in names}

    await until(lambda: clients() & {"xreadgroup", "subscribe"} == set(), "the server to see that it is gone")
    assert is_alive(node.pids("began")[0])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("multiprocessing_result", b"6"),
        ("process_pool", b"[1,2,3]"),
        ("subprocess", b'"hello"'),
        ("blocking_subprocess", b'"hello"'),
        ("asyncio_in_child", b'"on a loop of its own"'),
    ],
)
async def test_what_copies_are_made_for_works(node: Subject, kind: str, expected: bytes) -> None:
    assert await node.done(kind) == expected


def test_dev_starts_again_on_its_port_and_folder_while_a_copy_of_a_handler_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = tmp_path / "ledger"
    monkeypatch.setenv("LEDGER", str(ledger))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    dev = (*IRONFORGE, "dev", APP.stem, "--port", str(port), "--data-dir", str(tmp_path / "data"))

    def start(log: Path) -> subprocess.Popen[bytes]:
        with log.open("wb") as output:  # a pipe would stay open in the copy
            started = subprocess.Popen(dev, cwd=APP.parent, env=environment(), stdout=output, stderr=output)
        eventually(lambda: started.poll() is not None or "is listening" in log.read_text(), "the API to listen")
        return started

    with start(tmp_path / "first") as first:
        assert ironforge("submit", "on_loop", '{"then":"stay"}', "--wait", url=url).returncode == 0
        first.kill()
    [copy] = [int(line.split()[1]) for line in whole_lines(ledger) if line.startswith("began")]
    with start(tmp_path / "second") as second:
        assert ironforge("submit", "next", "--wait", url=url).returncode == 0
        second.terminate()
    assert is_alive(copy)
    os.kill(copy, signal.SIGKILL)
