"""Runs one system once: submit jobs, then work them off, on a fresh server that is configured as ours is.

The rate is taken between 20 % and 95 % of the jobs, as in `drain`, from tallies that the workers' handlers write.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import harness
from benchmarks.peers.kit import TALLIES
from benchmarks.peers.table import Installed, last_line

LIMIT_SECONDS = 60.0
LOOK_SECONDS = 0.05
FIRST, LAST = 0.20, 0.95


@contextlib.contextmanager
def server(fsync: str = "everysec") -> Iterator[str]:
    """Over TCP, because not every peer can use a unix socket; AOF as `ironforge dev` has it."""
    config = {"appendonly": "yes", "appendfsync": fsync, "save": "", "maxmemory-policy": "noeviction"}
    with tempfile.TemporaryDirectory(prefix="ironforge-peers-") as folder:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with harness.bare_server(Path(folder), config, port=port):
            yield f"redis://127.0.0.1:{port}/0"


def prepare(system: Installed, url: str) -> None:
    """Tables, queues: what a fresh server needs. Raises RuntimeError with what it said last."""
    _ask(system, "prepare", url)


def submit(system: Installed, url: str, jobs: int) -> float:
    """Jobs per second. Raises RuntimeError with what it said last."""
    return jobs / float(_ask(system, "submit", url, str(jobs)))


def _ask(system: Installed, *words: str) -> str:
    """Its last line."""
    try:
        done = subprocess.run(
            [*system.command, *words],
            env={**os.environ, **system.environment},
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{' '.join(words)} took longer than {LIMIT_SECONDS:g} s") from None
    if done.returncode:
        raise RuntimeError(f"{words[0]}: {last_line(done.stderr) or done.returncode}")
    return last_line(done.stdout)


def drain(system: Installed, url: str, concurrency: str, processes: int, jobs: int) -> float:
    """Jobs per second of `processes` workers on `jobs` queued jobs. Raises RuntimeError with what they said last."""
    with tempfile.TemporaryDirectory(prefix="ironforge-tallies-") as folder, tempfile.TemporaryFile("w+") as said:
        tallies = Path(folder)
        command = [*system.command, "work", url, concurrency]
        environment = {**os.environ, **system.environment, TALLIES: folder}
        workers = [
            subprocess.Popen(command, env=environment, stdout=said, stderr=said, start_new_session=True)
            for _ in range(processes)
        ]
        try:
            ticks = _ticks(tallies, jobs, workers)
        finally:
            for worker in workers:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(worker.pid, signal.SIGKILL)
                worker.wait()
        if ticks is None:
            said.seek(0)
            raise RuntimeError(f"work: {last_line(said.read()) or f'not done within {LIMIT_SECONDS:g} s'}")
    first, last = (_passed(ticks, jobs * share) for share in (FIRST, LAST))
    return (last[1] - first[1]) / (last[0] - first[0])


def _ticks(folder: Path, jobs: int, workers: list[subprocess.Popen[bytes]]) -> list[tuple[float, int]] | None:
    """When (monotonic seconds) how many more jobs had run, in order; None when they never came to the end."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline and all(worker.poll() is None for worker in workers):
        texts = [file.read_text(encoding="ascii") for file in folder.iterdir()]
        lines = [line.split() for text in texts for line in text.split("\n")[:-1]]
        ticks = sorted((float(line[0]), int(line[1])) for line in lines if len(line) == 2)
        if sum(count for _time, count in ticks) >= jobs * LAST:
            return ticks
        time.sleep(LOOK_SECONDS)
    return None


def _passed(ticks: list[tuple[float, int]], mark: float) -> tuple[float, int]:
    """When the total passed `mark`, and the total then."""
    total = 0
    for moment, count in ticks:
        total += count
        if total >= mark:
            return moment, total
    raise AssertionError("the ticks end before the mark")
