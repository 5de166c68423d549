"""How much memory does one node process take: fresh, and after many jobs? Linux only.

The jobs come in slices, each worked off before the next one, so that only the node's own growth shows. Fresh means
that it has run a hundred jobs: until then not everything is imported. A busy node needs buffers that a fresh one has
not yet, so growth is also told from the first slice on: a leak would show there.
"""

from __future__ import annotations

from typing import Any

from benchmarks import harness
from benchmarks.drain import fill
from benchmarks.process import pss_mb
from ironforge.handlers.forge import Forge

SLICE = 50_000


async def run(*, jobs: int = 1_000_000, **flags: Any) -> dict[str, Any]:
    """Megabytes (PSS) after so many jobs, and the growth in percent."""
    points: list[tuple[float, float]] = []
    with harness.server(**flags) as settings, harness.nodes(settings, 1) as [pid]:
        async with harness.store_client(settings) as opened, Forge(settings) as submitter:
            done = 100
            await fill(submitter, done)
            await harness.time_of(opened, [done])
            points.append((done, pss_mb(pid)))
            while done < jobs:
                await fill(submitter, SLICE)
                done += SLICE
                await harness.time_of(opened, [done])
                points.append((done, pss_mb(pid)))
    fresh, (warm_jobs, warm), after = points[0][1], points[1], points[-1][1]
    figures = {
        "fresh": fresh,
        f"after {warm_jobs:,}": warm,
        f"after {done:,}": after,
        "growth % since fresh": (after / fresh - 1) * 100,
        f"growth % since {warm_jobs:,}": (after / warm - 1) * 100,
    }
    plot = {"x": "jobs", "y": "MB", "series": {"PSS of one node": points}}
    return {"unit": "MB of one node process", "figures": {"node": figures}, "plot": plot}
