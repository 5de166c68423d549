"""How late do timers fire, when many are due close together?

All jobs are scheduled before the node starts to be measured, spread evenly over the given time. The lateness is from
the due time in the record to the start of the handler, by one wall clock: the move by the retry timer, the fetch and
the start together.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from benchmarks import harness
from ironforge.handlers.forge import Forge
from ironforge.job import record as records
from ironforge.store import JobFilter, JobView

LEAD_SECONDS = 15.0
PAGE = 500


async def _once(jobs: int, seconds: float, flags: dict[str, Any]) -> dict[str, float]:
    with harness.server(**flags) as settings, harness.nodes(settings, 1):
        async with harness.store_client(settings) as opened, Forge(settings) as submitter:
            await submitter.submit("bench.noop")
            await harness.time_of(opened, [1])
            first = time.time() + LEAD_SECONDS
            for start in range(0, jobs, PAGE):
                batch = [
                    submitter.prepare("bench.noop", delay_seconds=first + number * seconds / jobs - time.time())
                    for number in range(start, min(start + PAGE, jobs))
                ]
                await submitter.submit_many("bench.noop", batch)
            late = time.time() - first
            if late > 0:
                raise SystemExit(f"submitting took {late:.1f} s longer than the lead of {LEAD_SECONDS:g} s")
            await asyncio.sleep(max(0.0, first + seconds - time.time()))
            await harness.time_of(opened, [1 + jobs])
            late_ms = sorted(_lateness(view) for view in await all_completed(opened) if view.job.ready_ms)
    return {f"p{percent:g} ms": harness.percentile(late_ms, percent) for percent in (50, 95, 99, 100)}


def _lateness(view: JobView) -> float:
    return float(view.job.started_ms - view.job.ready_ms)


async def all_completed(opened: Any) -> list[JobView]:
    found: list[JobView] = []
    cursor = None
    while True:
        page = await opened.inspector.jobs(JobFilter(records.JobState.COMPLETED), limit=PAGE, cursor=cursor)
        found += page.jobs
        cursor = page.cursor
        if cursor is None:
            return found


async def run(*, jobs: int = 100_000, repeats: int = 3, seconds: float = 60.0, **flags: Any) -> dict[str, Any]:
    """Percentiles of the lateness in milliseconds; the run with the median p99."""
    runs = sorted([await _once(jobs, seconds, flags) for _ in range(repeats)], key=lambda run: run["p99 ms"])
    return {"unit": "ms", "jobs": jobs, "seconds": seconds, "figures": {f"{jobs} due": runs[len(runs) // 2]}}
