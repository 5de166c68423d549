"""What becomes of jobs while two nodes are replaced by a newer version of their application, and back?

Jobs of a kind that both versions know, and of one that only the newer one knows, come in at a steady rate all the
while. Each new node is there before an old one goes. At the end a newer node works off what the older ones declined.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import harness
from ironforge.handlers.forge import Forge
from ironforge.settings import Settings
from ironforge.store import StoreClient

APP = "benchmarks.rollout_app:forge"
KINDS = ("bench.old", "bench.new")
BATCH = 20
LOOK_SECONDS = 0.05
VERSIONS = (2, 2, 1, 1)  # of the nodes that come in, one after the other


class _Load:
    """Submissions at a fixed rate, in an open loop, until they are stopped."""

    def __init__(self, submitter: Forge, rate: int) -> None:
        self._submitter = submitter
        self._rate = rate
        self._stopped = False
        self.submitted = 0
        self.seconds = 0.0

    async def run(self) -> None:
        start = time.perf_counter()
        while not self._stopped:
            self.seconds = time.perf_counter() - start
            if self.submitted > self.seconds * self._rate:
                await asyncio.sleep(BATCH / self._rate)
                continue
            for kind in KINDS:
                await self._submitter.submit_many(kind, [None] * BATCH)
                self.submitted += BATCH

    def stop(self) -> None:
        self._stopped = True


async def _start(settings: Settings, opened: StoreClient, ledger: Path, version: int) -> contextlib.ExitStack:
    """A node of this version, once the installation knows it."""
    node = contextlib.ExitStack()
    environment = {"BENCH_VERSION": str(version), "BENCH_LEDGER": str(ledger)}
    [pid] = node.enter_context(harness.nodes(settings, 1, quiet=True, app=APP, **environment))
    while not any(f".{pid}." in view.name for view in await opened.inspector.nodes()):
        await asyncio.sleep(LOOK_SECONDS)
    return node


async def _ended(opened: StoreClient) -> dict[str, int]:
    """The totals, once nothing waits or runs."""
    while True:
        stats = await opened.inspector.stats()
        if not any(stream.queued + stream.running for stream in stats.streams):
            return stats.totals
        await asyncio.sleep(LOOK_SECONDS)


@contextlib.asynccontextmanager
async def _loaded(submitter: Forge, rate: int) -> AsyncIterator[_Load]:
    load = _Load(submitter, rate)
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run())
        yield load
        load.stop()


async def _once(rate: int, seconds: float, flags: dict[str, Any]) -> dict[str, float]:
    with harness.server(**flags) as settings, tempfile.NamedTemporaryFile("r", encoding="ascii") as ledger:
        async with harness.store_client(settings) as opened, Forge(settings) as submitter:
            path = Path(ledger.name)
            nodes = [await _start(settings, opened, path, 1) for _ in range(2)]
            async with _loaded(submitter, rate) as load:
                for version in VERSIONS:
                    await asyncio.sleep(seconds)
                    nodes.append(await _start(settings, opened, path, version))
                    await asyncio.to_thread(nodes.pop(0).close)
                await asyncio.sleep(seconds)
            nodes.append(await _start(settings, opened, path, 2))
            totals = await _ended(opened)
            for node in nodes:
                await asyncio.to_thread(node.close)
        declined = Counter(ledger.read().splitlines())
    ended = totals.get("completed", 0) + totals.get("dead", 0)
    return {
        "jobs/s": load.submitted / load.seconds,
        "submitted": load.submitted,
        "completed": totals.get("completed", 0),
        "dead": totals.get("dead", 0),
        "lost": load.submitted - ended,
        "declined": declined.total(),
        "of a run by a node, at most": max(declined.values(), default=0),
    }


async def run(*, rates: Sequence[int] = (2_000,), seconds: float = 3.0, **flags: Any) -> dict[str, Any]:
    """Jobs; `seconds` under load in front of each replacement, and after the last."""
    figures = {f"{rate:,} jobs/s, two nodes": await _once(rate, seconds, flags) for rate in rates}
    return {"unit": "jobs", "seconds": seconds, "figures": figures}
