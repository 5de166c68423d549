"""How many jobs does one Python process submit in a second, straight to the server: in bulk, and one by one?

Bulk is `forge.submit_many` with 500 jobs a call, one call after the other. One by one is 64 coroutines that each
await `forge.submit`, so that calls share their way to the server.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from benchmarks import harness
from ironforge.handlers.forge import Forge

BATCH = 500
CLIENTS = 64


async def _bulk(jobs: int, flags: dict[str, Any]) -> float:
    with harness.server(**flags) as settings:
        async with Forge(settings) as submitter:
            await submitter.submit_many("bench.noop", [{"to": "someone"}] * BATCH)
            start = time.perf_counter()
            for _ in range(jobs // BATCH):
                await submitter.submit_many("bench.noop", [{"to": "someone"}] * BATCH)
            return jobs / (time.perf_counter() - start)


async def _singly(jobs: int, flags: dict[str, Any]) -> float:
    with harness.server(**flags) as settings:
        async with Forge(settings) as submitter:

            async def client() -> None:
                for _ in range(jobs // CLIENTS):
                    await submitter.submit("bench.noop", {"to": "someone"})

            await submitter.submit("bench.noop", {"to": "someone"})
            start = time.perf_counter()
            await asyncio.gather(*(client() for _ in range(CLIENTS)))
            return jobs / (time.perf_counter() - start)


async def run(*, jobs: int = 200_000, repeats: int = 3, **flags: Any) -> dict[str, Any]:
    """Jobs per second by way of submitting."""
    return {
        "unit": "jobs/s",
        "jobs": jobs,
        "figures": {
            f"bulk, {BATCH} a call": await harness.repeat(repeats, lambda: _bulk(jobs, flags)),
            f"one by one, {CLIENTS} at a time": await harness.repeat(repeats, lambda: _singly(jobs // 4, flags)),
        },
    }
