"""A node in a process of its own whose handlers fork, block and hold on; the ledger says what became of whom."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import redis

from ironforge import Forge
from ironforge.job.record import JobState, parse_id
from ironforge.settings import environment_name, load
from ironforge.store import JobView, StoreClient
from tests.support.waiting import until, whole_lines

APP = Path(__file__).with_name("forking_app.py")


def is_alive(pid: int) -> bool:
    """What nobody has waited for is not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


class Subject:
    """The node, and who looks at it from outside."""

    def __init__(self, url: str, folder: Path, **settings: Any) -> None:
        self._told = {"redis_url": url, "drain_seconds": 0.5, "concurrency": 4, **settings}
        self.settings = load({}, **self._told)
        self.forge = Forge(self.settings)
        self.store_client = StoreClient(self.settings)
        self.admin: Any = redis.Redis.from_url(url)
        self._ledger = folder / "ledger"
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes]

    def start(self, *command: str) -> None:
        """On the kind of loop that the test runs on itself, unless another command is given."""
        loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
        environment = {environment_name(name): str(value) for name, value in self._told.items()}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command or (sys.executable, str(APP), loop),
                cwd=APP.parent,
                env={**os.environ, **environment, "LEDGER": str(self._ledger)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def noted(self, what: str) -> list[str]:
        """Of all lines `what …`, in order, what follows."""
        return [line.removeprefix(what + " ") for line in whole_lines(self._ledger) if line.startswith(what + " ")]

    def pids(self, what: str) -> list[int]:
        return [int(line.split()[-1]) for line in self.noted(what)]

    async def view(self, job_id: str) -> JobView:
        return await self.store_client.inspector.get(parse_id(job_id))

    async def done(self, kind: str, payload: Any = None) -> bytes | None:
        """The result of such a job, once it has one."""
        job_id = await self.forge.submit(kind, payload)
        found: list[JobView] = []

        async def is_over() -> bool:
            found[:] = [await self.view(job_id)]
            return found[0].state in (JobState.COMPLETED, JobState.DEAD)

        await until(is_over, f"the job of kind {kind} to end")
        assert found[0].state is JobState.COMPLETED
        return found[0].job.result

    async def ended(self, seconds: float) -> int:
        """The exit code of the node; fails when it takes longer."""
        return await asyncio.to_thread(self.process.wait, seconds)

    async def close(self) -> None:
        for pid in (*self.pids("began"), *self.pids("sits")):
            if pid != self.process.pid and is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.admin.close()
        await self.forge.close()
        await self.store_client.close()


@asynccontextmanager
async def subject(url: str, folder: Path, *command: str, **settings: Any) -> AsyncIterator[Subject]:
    one = Subject(url, folder, **settings)
    one.start(*command)
    try:
        yield one
    finally:
        await one.close()
