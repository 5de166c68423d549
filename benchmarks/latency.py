"""How long from the moment a job should be submitted until its handler starts, at a steady rate?

Open loop: job number n is due at n / rate, whether or not earlier submissions have been answered, and its latency
counts from that due time. A slow answer therefore delays nobody's clock (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Unpack

from benchmarks import harness
from ironforge.handlers.forge import Forge
from ironforge.job import record as records
from ironforge.job.options import SubmissionKeywords
from ironforge.store import StoreClient

WARM_UP_SECONDS = 2.0
LOOK_UPS = 32


async def _once(rate: int, seconds: float, flags: dict[str, Any]) -> dict[str, float]:
    with harness.server(**flags) as settings, harness.nodes(settings, 1):
        async with harness.store_client(settings) as opened, Forge(settings) as submitter:
            await submitter.submit("bench.noop")
            await harness.time_of(opened, [1])
            await submit(submitter, "bench.clock", rate, WARM_UP_SECONDS)
            due = await submit(submitter, "bench.clock", rate, seconds)
            await harness.time_of(opened, [1 + int(rate * WARM_UP_SECONDS) + len(due)])
            found = sorted(await _latencies(opened, due))
    return {f"p{percent:g} ms": harness.percentile(found, percent) for percent in (50, 95, 99, 99.9, 100)}


async def submit(
    submitter: Forge, kind: str, rate: int, seconds: float, **options: Unpack[SubmissionKeywords]
) -> dict[str, int]:
    """Job id → when it was due, in nanoseconds."""
    due: dict[str, int] = {}
    start = time.time_ns()

    async def one(due_ns: int) -> None:
        due[await submitter.submit(kind, **options)] = due_ns

    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due_ns = start + number * 1_000_000_000 // rate
            pause_seconds = (due_ns - time.time_ns()) / 1e9
            if pause_seconds > 0:
                await asyncio.sleep(pause_seconds)
            group.create_task(one(due_ns))
    return due


async def _latencies(opened: StoreClient, due: dict[str, int]) -> list[float]:
    found: list[float] = []
    waiting = list(due.items())

    async def look() -> None:
        while waiting:
            job_id, due_ns = waiting.pop()
            view = await opened.inspector.get(records.parse_id(job_id))
            found.append((int(view.job.result) - due_ns) / 1e6)

    await asyncio.gather(*(look() for _ in range(LOOK_UPS)))
    return found


async def run(
    *, repeats: int = 3, rates: Sequence[int] = (200, 1_000, 5_000), seconds: float = 10.0, **flags: Any
) -> dict[str, Any]:
    """Percentiles in milliseconds by rate; the run with the median p99 of `repeats` runs."""
    figures: dict[str, Any] = {}
    for rate in rates:
        runs = sorted([await _once(rate, seconds, flags) for _ in range(repeats)], key=lambda run: run["p99 ms"])
        figures[f"{rate} jobs/s"] = runs[len(runs) // 2]
    series = {
        what: [(rate, figure[f"{what} ms"]) for rate, figure in zip(rates, figures.values(), strict=True)]
        for what in ("p50", "p99", "p99.9")
    }
    plot = {"x": "jobs/s", "y": "ms", "series": series}
    return {"unit": "ms", "seconds": seconds, "figures": figures, "plot": plot}
