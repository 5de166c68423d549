"""How much does a tenant with a large backlog delay another one, with fairness keys and without? What do keys cost?

Tenant B submits at a low, steady rate in an open loop while one node, all of whose workers are busy, works off what
tenant A has queued before. All jobs pause for 10 to 30 ms, as if they asked another service. A job's latency counts
from when it was due to be submitted to its end; what has not ended when the measurement is over counts with its age,
so those figures are lower bounds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import drain, harness, latency
from ironforge.handlers.forge import Forge
from ironforge.job.options import JobKeywords, SubmissionKeywords
from ironforge.job.record import parse_id
from ironforge.store import StoreClient

RATE = 50
WARM_UP_SECONDS = 2.0
GRACE_SECONDS = 3.0
LOOK_SECONDS = 0.1
TENANTS = 100
# A backlog that just outlasts the measurement: what B waits for is a free worker, and not what lies behind.
FEW = 50_000


async def _delay(jobs: int, seconds: float, *, keyed: bool, flags: dict[str, Any]) -> dict[str, float]:
    """B's latencies in ms, with `jobs` of A queued before the node starts."""
    own: SubmissionKeywords = {"fairness_key": "b"} if keyed else {}
    other: JobKeywords = {"fairness_key": "a"} if keyed else {}
    with harness.server(**flags) as settings:
        async with harness.store_client(settings) as opened, Forge(settings) as submitter:
            await drain.fill(submitter, jobs, [other], kind="bench.pause")
            with harness.nodes(settings, 1):
                await submitter.submit("bench.noop", priority="critical")
                await harness.time_of(opened, [1])
                await latency.submit(submitter, "bench.pause", RATE, WARM_UP_SECONDS, **own)
                due = await latency.submit(submitter, "bench.pause", RATE, seconds, **own)
                found = sorted(await _latencies(opened, due))
    return {f"p{percent:g}": harness.percentile(found, percent) for percent in (50, 95, 99, 100)}


async def _latencies(opened: StoreClient, due: Mapping[str, int]) -> list[float]:
    """In milliseconds, once all have ended or the time for it is over."""
    ended: dict[str, float] = {}
    until = time.monotonic() + GRACE_SECONDS
    while len(ended) < len(due) and time.monotonic() < until:
        for job_id in due.keys() - ended.keys():
            view = await opened.inspector.get(parse_id(job_id))
            if view.job.result:
                ended[job_id] = (int(view.job.result) - due[job_id]) / 1e6
        await asyncio.sleep(LOOK_SECONDS)
    now_ns = time.time_ns()
    return [ended.get(job_id, (now_ns - due_ns) / 1e6) for job_id, due_ns in due.items()]


async def run(*, jobs: int = 1_000_000, repeats: int = 3, seconds: float = 10.0, **flags: Any) -> dict[str, Any]:
    """Milliseconds for the delays (of `repeats` runs the one with the median p99), jobs/s for the drain rates."""
    figures: dict[str, Any] = {}
    cases = {
        "B alone": (0, True),
        "B and A, no keys": (jobs, False),
        f"B and {FEW:,} of A, keys": (FEW, True),
        "B and A, keys": (jobs, True),
    }
    for name, (backlog, keyed) in cases.items():
        runs = [await _delay(backlog, seconds, keyed=keyed, flags=flags) for _ in range(repeats)]
        figures[f"{name}, ms"] = sorted(runs, key=lambda run: run["p99"])[len(runs) // 2]
    tenants: list[JobKeywords] = [{"fairness_key": f"t{number}"} for number in range(TENANTS)]
    both: list[Sequence[JobKeywords]] = [[{}], tenants]
    rates: list[list[float]] = [[], []]
    for _ in range(repeats):  # by turns, so that both meet the same machine
        for found, options in zip(rates, both, strict=True):
            found.append(await drain.rate(jobs, 1, flags, options))
    figures["drain, no keys, jobs/s"], figures[f"drain, {TENANTS} keys, jobs/s"] = map(harness.spread, rates)
    return {"unit": "ms, jobs/s", "jobs": jobs, "figures": figures}
