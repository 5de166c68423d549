"""The handlers that the benchmarks run: as close to nothing as a handler can be."""

from __future__ import annotations

import asyncio
import random
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


@forge.job("bench.pause")
async def pause() -> int:
    """Waits as if for another service; returns when it ended, in nanoseconds of the wall clock."""
    await asyncio.sleep(random.uniform(0.01, 0.03))
    return time.time_ns()
