"""A parent of node processes seen from outside, and the children that its tests give it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tests.support.waiting import PATIENCE_SECONDS, eventually, whole_lines

PARENT = """
import asyncio, sys
from ironforge.runtime import process_manager
from ironforge.settings import load
from ironforge.errors import ConfigError
from ironforge.logs.setup import configure_logging
process_manager.GRACE_SECONDS = 0.3
process_manager.SILENCE_SECONDS = 3.0
process_manager.YOUNG_SECONDS = 0.0
configure_logging(load())
try:
    sys.exit(asyncio.run(process_manager.run_processes(sys.argv[1:], load())))
except ConfigError as error:
    sys.exit(str(error))
"""

# A child writes what it sees into a diary, the programs below say how it behaves.
CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
folder, slot = Path(os.environ["FOLDER"]), os.environ["IRONFORGE_SLOT"]
from ironforge.runtime.parent_pipe import ChildStatus, ParentLink
from ironforge.metrics.jobs import Metrics

def note(what):
    with (folder / "diary").open("a") as diary:
        diary.write(f"{slot} {os.getpid()} {what}\\n")

async def file(name):
    while not (folder / name).exists():
        await asyncio.sleep(0.01)

reports = []

def become(link, *problems):
    for earlier in reports:
        earlier.cancel()
    status = ChildStatus(ready=not problems, problems=problems)
    reports.append(asyncio.create_task(link.keep_reporting(lambda: status)))

async def main():
    terms = asyncio.Queue()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terms.put_nowait, "term")
    link = await ParentLink.open()
    gone = asyncio.create_task(link.gone())
    note("start")
    behaving = asyncio.create_task(behave(link, terms, gone))
    await asyncio.wait([gone, behaving], return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait([behaving], timeout=1)

"""
RUN = "\nasyncio.run(main())\n"


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
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def diary(self) -> list[list[str]]:
        """`[slot, pid, what]` for everything that children noted."""
        return [line.split() for line in whole_lines(self.folder / "diary")]

    def noted(self, what: str) -> list[str]:
        """The slots whose children noted this, in order."""
        return sorted(slot for slot, _pid, noted in self.diary() if noted == what)

    def until_ready(self) -> None:
        eventually(lambda: self.get("/readyz")[0] == 200, "the node to be ready")

    def until_not_ready(self, because: str) -> None:
        eventually(lambda: because in self.get("/readyz")[1], f"the node not to be ready because {because!r}")

    def until_noted(self, what: str, slots: list[str]) -> None:
        eventually(lambda: self.noted(what) == slots, f"{what!r} to be noted by {slots}")

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
            eventually(lambda pid=pid: not alive(pid), f"child {pid} to have ended with its parent")


def alive(pid: int) -> bool:
    """A child that nobody waits for stays a zombie where there is no init: that is not alive."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
