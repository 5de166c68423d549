"""The handlers that the benchmarks run: as close to nothing as a handler can be."""

from __future__ import annotations

import time

from ironforge import Forge

forge = Forge()


@forge.job("bench.noop")
async def noop() -> None:
    """Returns at once: what remains is the cost of IronForge itself."""


@forge.job("bench.clock")
async def clock() -> int:
    """Returns when it started, in nanoseconds of the wall clock, which all processes of a machine share."""
    return time.time_ns()
