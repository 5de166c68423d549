"""What rate does an installation bear for a minute, submitting and draining at the same time?

One process submits in bulk at a fixed rate, one node drains. The backlog is looked at every second: the rate is borne
when the backlog at the end is no larger than one second's worth of jobs.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from benchmarks import harness
from ironforge.registry import Forge

BATCH = 250


async def _once(rate: int, seconds: float, nodes: int, flags: dict[str, Any]) -> dict[str, float]:
    with harness.server(**flags) as settings, harness.nodes(settings, nodes):
        async with harness.doors(settings) as opened, Forge(settings) as submitter:
            await submitter.submit("bench.noop")
            await harness.time_of(opened, [1])
            start = time.perf_counter()
            submitted = 0
            backlogs: list[float] = []
            looked = start
            while (now := time.perf_counter()) - start < seconds:
                if submitted <= (now - start) * rate:
                    await submitter.submit_many("bench.noop", [None] * BATCH)
                    submitted += BATCH
                else:
                    await asyncio.sleep(BATCH / rate / 4)
                if now - looked >= 1:
                    looked = now
                    backlogs.append(submitted - await harness.completed(opened))
            borne = submitted / (time.perf_counter() - start)
            await harness.time_of(opened, [submitted])
    return {"submitted/s": borne, "largest backlog": max(backlogs), "last backlog": backlogs[-1]}


async def run(
    *, rates: tuple[int, ...] = (25_000,), seconds: float = 60.0, nodes: int = 1, **flags: Any
) -> dict[str, Any]:
    """Jobs per second really submitted, and the backlog in jobs."""
    figures = {f"{rate} jobs/s": await _once(rate, seconds, nodes, flags) for rate in rates}
    return {"unit": "jobs", "seconds": seconds, "nodes": nodes, "figures": figures}
