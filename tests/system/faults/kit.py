"""The ground on which nodes are killed: starts them, submits to them, reads the ledger, and judges."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ironforge import Forge
from ironforge.errors import StoreUnavailable
from ironforge.job.record import JobState
from ironforge.runtime.embedded_server import EmbeddedServer
from ironforge.settings import environment_name, load
from ironforge.store import StoreClient
from tests.support.waiting import PATIENCE_SECONDS, until, whole_lines

APP = Path(__file__).parent / "forge_app.py"
IRONFORGE = (sys.executable, "-P", "-m", "ironforge")
TOLD = (
    "redis_url",
    "namespace",
    "shards",
    "durability",
    "lease_seconds",
    "concurrency",
    "drain_seconds",
    "app_version",
)


class Line(NamedTuple):
    what: str
    job_id: str
    fence: int
    pid: int


class Ground:
    """`settings` are those of nodes and submitters alike, beyond the usual ones."""

    server: EmbeddedServer

    def __init__(self, url: str, ledger: Path, **settings: Any) -> None:
        usual = {"lease_seconds": 2.0, "concurrency": 8, "drain_seconds": 10.0}
        self.settings = load({}, redis_url=url, **(usual | settings))
        self.forge = Forge(self.settings)
        self.store_client = StoreClient(self.settings)
        self._ledger = ledger
        self._nodes: list[subprocess.Popen[bytes]] = []

    def again(self, **settings: Any) -> Ground:
        """The same with other settings."""
        return Ground(self.settings.redis_url, self._ledger, **settings)

    def start_node(
        self, parent: Sequence[str] | None = None, *, program: Sequence[str] = (str(APP),), **changes: Any
    ) -> subprocess.Popen[bytes]:
        """A node alone, or with these options of `ironforge node` a parent with its children."""
        settings = msgspec.structs.replace(self.settings, **changes)
        environment = {
            **os.environ,
            "LEDGER": str(self._ledger),
            **{environment_name(name): str(getattr(settings, name)) for name in TOLD},
        }
        command = [sys.executable, *program] if parent is None else [*IRONFORGE, "node", APP.stem, *parent]
        node = subprocess.Popen(command, cwd=APP.parent, env=environment, start_new_session=True)
        self._nodes.append(node)
        return node

    def running(self) -> list[subprocess.Popen[bytes]]:
        return [node for node in self._nodes if node.poll() is None]

    async def started_nodes(self, count: int) -> list[subprocess.Popen[bytes]]:
        nodes = [self.start_node() for _ in range(count)]

        async def all_there() -> bool:
            return len(await self.store_client.inspector.nodes()) == count

        await until(all_there, f"{count} nodes to join")
        return nodes

    async def submit(self, count: int, seconds: float = 0.0) -> list[str]:
        return await self.forge.submit_many("work", [{"seconds": seconds}] * count)

    def lines(self) -> list[Line]:
        found = [line.split() for line in whole_lines(self._ledger)]
        return [Line(what, job_id, int(fence), int(pid)) for what, job_id, fence, pid in found]

    def starts(self) -> Counter[str]:
        return Counter(line.job_id for line in self.lines() if line.what == "start")

    def in_flight(self, pid: int) -> set[str]:
        """What this process has started and not ended."""
        mine = [line for line in self.lines() if line.pid == pid]
        ended = {line.job_id for line in mine if line.what == "end"}
        return {line.job_id for line in mine if line.what == "start"} - ended

    async def totals(self) -> dict[str, int]:
        return (await self.store_client.inspector.stats()).totals

    async def drained(self, count: int) -> None:
        """All jobs have ended; the server may be away meanwhile."""

        async def is_drained() -> bool:
            try:
                stats = await self.store_client.inspector.stats()
            except StoreUnavailable:
                return False
            left = stats.scheduled + sum(depth.queued + depth.running for depth in stats.streams)
            return left == 0 and stats.totals.get("completed", 0) >= count

        await until(is_drained, f"{count} jobs to end")

    async def check_settled(self, ids: list[str]) -> None:
        """Nothing is lost, and nothing settled twice: each job has one result, of the highest fence that ran."""
        from ironforge.job.record import parse_id

        highest: dict[str, int] = {}
        for line in self.lines():
            highest[line.job_id] = max(line.fence, highest.get(line.job_id, 0))
        for job_id in ids:
            view = await self.store_client.inspector.get(parse_id(job_id))
            assert view.state is JobState.COMPLETED
            assert int(view.job.result) == view.job.fence == highest[job_id]

    async def end(self, node: subprocess.Popen[bytes]) -> int:
        node.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(node.wait, PATIENCE_SECONDS)

    async def aclose(self) -> None:
        for node in self._nodes:
            if node.poll() is None:
                node.send_signal(signal.SIGCONT)
                await self.end(node)
        await self.forge.close()
        await self.store_client.close()
