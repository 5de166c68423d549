"""What rate does an installation bear for a minute, submitting and draining at the same time?

One process submits in bulk at a fixed rate, one node drains. The backlog is looked at every second: the rate is borne
when the backlog at the end is no larger than one second's worth of jobs.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import harness
from ironforge.handlers.forge import Forge

BATCH = 250

Point = tuple[float, float]  # seconds since the start, jobs


async def _once(rate: int, seconds: float, nodes: int, flags: dict[str, Any]) -> tuple[float, list[Point]]:
    """Jobs per second really submitted, and the backlog over time."""
    with harness.server(**flags) as settings, harness.nodes(settings, nodes):
        async with harness.store_client(settings) as opened, Forge(settings) as submitter:
            await submitter.submit_many("bench.noop", [None] * BATCH)
            await harness.time_of(opened, [BATCH])
            submitted = 0
            backlogs: list[Point] = []
            start = looked = time.perf_counter()
            while (now := time.perf_counter()) - start < seconds:
                if submitted <= (now - start) * rate:
                    await submitter.submit_many("bench.noop", [None] * BATCH)
                    submitted += BATCH
                else:
                    await asyncio.sleep(BATCH / rate / 4)
                if now - looked >= 1:
                    looked = now
                    backlogs.append((now - start, submitted + BATCH - await harness.completed(opened)))
            borne = submitted / (time.perf_counter() - start)
            await harness.time_of(opened, [submitted + BATCH])
    return borne, backlogs


async def run(
    *, rates: Sequence[int] = (25_000,), seconds: float = 60.0, nodes: Sequence[int] = (1,), **flags: Any
) -> dict[str, Any]:
    """Jobs per second really submitted, and the backlog in jobs: a flat one ends no higher than it began."""
    figures: dict[str, dict[str, float]] = {}
    series: dict[str, list[Point]] = {}
    for count in nodes:
        for rate in rates:
            name = f"{rate:,} jobs/s, {count} node{'s' if count > 1 else ''}"
            borne, backlogs = await _once(rate, seconds, count, flags)
            half = len(backlogs) // 2
            early, late = ([jobs for _second, jobs in part] for part in (backlogs[:half], backlogs[half:]))
            figures[name] = {
                "submitted/s": borne,
                "backlog, first half": statistics.mean(early),
                "backlog, second half": statistics.mean(late),
                "largest backlog": max(jobs for _second, jobs in backlogs),
            }
            series[name] = backlogs
    plot = {"x": "seconds", "y": "jobs that wait or run", "series": series}
    return {"unit": "jobs", "seconds": seconds, "figures": figures, "plot": plot}
