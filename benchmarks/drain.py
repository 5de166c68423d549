"""How many queued no-op jobs does a node work off in a second? And two?

All jobs are queued before the nodes start. The rate is taken between 20 % and 95 % of the jobs, so neither the start
of the processes nor the end, when workers run dry, counts.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from benchmarks import harness
from ironforge.handlers.forge import Forge
from ironforge.job.options import JobKeywords

SUBMIT_BATCH = 5_000


async def fill(
    submitter: Forge, jobs: int, options: Sequence[JobKeywords] = ({},), *, kind: str = "bench.noop"
) -> None:
    """Jobs of one kind, in equal parts with each of `options`."""
    size = SUBMIT_BATCH // len(options)
    for number, start in enumerate(range(0, jobs, size)):
        given = options[number % len(options)]
        await submitter.submit_many(kind, [None] * min(size, jobs - start), **given)


async def rate(jobs: int, count: int, flags: dict[str, Any], options: Sequence[JobKeywords] = ({},)) -> float:
    """Jobs per second of `count` nodes."""
    with harness.server(**flags) as settings:
        async with harness.store_client(settings) as opened, Forge(settings) as submitter:
            await fill(submitter, jobs, options)
            first, last = int(jobs * 0.2), int(jobs * 0.95)
            with harness.nodes(settings, count):
                start, end = await harness.time_of(opened, [first, last])
                await harness.time_of(opened, [jobs])
            return (last - first) / (end - start)


async def run(*, jobs: int = 200_000, repeats: int = 3, nodes: Sequence[int] = (1, 2), **flags: Any) -> dict[str, Any]:
    """Jobs per second by number of nodes."""
    figures: dict[str, Any] = {}
    for count in nodes:
        once = functools.partial(rate, jobs, count, flags)
        figures[f"{count} node{'s' if count > 1 else ''}"] = await harness.repeat(repeats, once)
    points = [(count, figure["median"]) for count, figure in zip(nodes, figures.values(), strict=True)]
    plot = {"x": "node processes", "y": "jobs/s", "series": {"no-op jobs": points}}
    return {"unit": "jobs/s", "jobs": jobs, "figures": figures, "plot": plot}
