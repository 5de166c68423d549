"""Lifespans in real processes: each node runs them once around its jobs, and one that fails is said in one line."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.kit import Dev, Service, eventually, ironforge
from tests.support.waiting import whole_lines

pytestmark = pytest.mark.slow

APPLICATION = """
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from ironforge import Forge
from ironforge.node import run_node

forge = Forge()


class Diary:
    def note(self, what: str) -> None:
        with Path(__file__).with_name("diary").open("a") as file:
            file.write(f"{os.getpid()} {what}\\n")


@forge.lifespan
async def diary() -> AsyncIterator[Diary]:
    if "DIARY_FAILS" in os.environ:
        raise ConnectionError("no diary")
    Diary().note("starts")
    yield Diary()
    Diary().note("ends")


@forge.lifespan
async def second(diary: Diary) -> AsyncIterator[None]:
    diary.note("second-starts")
    yield
    diary.note("second-ends")


@forge.job("note")
async def note(diary: Diary) -> None:
    diary.note("runs")


if __name__ == "__main__":
    sys.exit(run_node(forge))
"""


@pytest.fixture
def diary(tmp_path: Path) -> Callable[[], list[list[str]]]:
    """Writes the application; what each of its processes has noted."""
    (tmp_path / "diary_app.py").write_text(APPLICATION)
    path = tmp_path / "diary"

    def read() -> list[list[str]]:
        noted: dict[str, list[str]] = {}
        for line in whole_lines(path):
            pid, what = line.split()
            noted.setdefault(pid, []).append(what)
        return list(noted.values())

    return read


def test_each_process_of_a_node_runs_them_around_its_jobs(
    tmp_path: Path, server: str, diary: Callable[[], list[list[str]]]
):
    with Service(
        "node", "diary_app", "--processes", "2", cwd=tmp_path, redis_url=server, namespace="lifespans"
    ) as node:
        eventually(lambda: diary() == [["starts", "second-starts"]] * 2, "both processes to start")
        node.signal(signal.SIGTERM)
        assert node.ended() == 0
    assert diary() == [["starts", "second-starts", "second-ends", "ends"]] * 2


def test_a_development_server_runs_them(tmp_path: Path, diary: Callable[[], list[list[str]]]):
    with Dev(tmp_path, "diary_app") as dev:
        dev.becomes(dev.submit("note"), "completed")
        dev.signal(signal.SIGTERM)
        assert dev.ended() == 0
    assert diary() == [["starts", "second-starts", "runs", "second-ends", "ends"]]


@pytest.mark.parametrize("command", [("node", "diary_app"), ("dev", "diary_app", "--port", "0")], ids=["node", "dev"])
def test_one_that_fails_as_it_starts_is_said_in_one_line(
    tmp_path: Path,
    server: str,
    diary: Callable[[], list[list[str]]],
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str],
):
    monkeypatch.setenv("DIARY_FAILS", "yes")
    done = ironforge(*command, cwd=tmp_path, redis_url=server, namespace="lifespans")
    assert done.returncode == 2
    assert "ironforge: lifespan diary_app.diary failed as it started: ConnectionError: no diary" in done.stderr
    assert diary() == []
