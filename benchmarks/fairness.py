"""How much does a tenant with a large backlog delay another one, with fairness keys and without? What do keys cost?

Tenant B submits at a low, steady rate in an open loop, as `latency` does, while one node works off what tenant A has
queued before. A figure counts only while A still has jobs at the end: `left of A` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks import drain, harness, latency
from ironforge.registry import Forge
from ironforge.submit import BatchOptions, JobOptions

RATE = 50
WARM_UP_SECONDS = 2.0
TENANTS = 100


async def _delay(jobs: int, seconds: float, *, keyed: bool, flags: dict[str, Any]) -> dict[str, float]:
    """B's latencies in ms, with `jobs` of A queued before the node starts."""
    own: JobOptions = {"fairness_key": "b"} if keyed else {}
    other: BatchOptions = {"fairness_key": "a"} if keyed else {}
    with harness.server(**flags) as settings:
        async with harness.doors(settings) as opened, Forge(settings) as submitter:
            await drain.fill(submitter, jobs, [other])
            with harness.nodes(settings, 1):
                await submitter.submit("bench.noop", priority="critical")
                await harness.time_of(opened, [1])
                warm = await latency.submit(submitter, RATE, WARM_UP_SECONDS, **own)
                due = await latency.submit(submitter, RATE, seconds, **own)
                left = max(0, jobs + 1 + len(warm) + len(due) - await harness.completed(opened))
                await harness.time_of(opened, [jobs + 1 + len(warm) + len(due)])
                latencies = sorted(await latency.latencies(opened, due))
    figures = {f"p{percent:g}": harness.percentile(latencies, percent) for percent in (50, 95, 99, 100)}
    return {**figures, "left of A": left}


async def run(*, jobs: int = 1_000_000, repeats: int, seconds: float = 10.0, **flags: Any) -> dict[str, Any]:
    """Milliseconds for the delays (of `repeats` runs the one with the median p99), jobs/s for the drain rates."""
    figures: dict[str, Any] = {}
    cases = {
        "B alone, ms": (0, True),
        f"B behind {jobs:,} of A, ms": (jobs, False),
        f"B beside {jobs:,} of A, with keys, ms": (jobs, True),
    }
    for name, (backlog, keyed) in cases.items():
        runs = [await _delay(backlog, seconds, keyed=keyed, flags=flags) for _ in range(repeats)]
        figures[name] = sorted(runs, key=lambda run: run["p99"])[len(runs) // 2]
    tenants: list[BatchOptions] = [{"fairness_key": f"t{number}"} for number in range(TENANTS)]
    rates: dict[str, list[float]] = {"drain without keys, jobs/s": [], f"drain with {TENANTS} keys, jobs/s": []}
    both: list[Sequence[BatchOptions]] = [[{}], tenants]
    for _ in range(repeats):  # by turns, so that both meet the same machine
        for found, options in zip(rates.values(), both, strict=True):
            found.append(await drain.rate(jobs, 1, flags, options))
    figures |= {name: harness.spread(found) for name, found in rates.items()}
    return {"unit": "ms, jobs/s", "jobs": jobs, "figures": figures}
