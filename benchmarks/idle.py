"""What does a node cost that has nothing to do, in processor time and in commands to the server? Linux only."""

from __future__ import annotations

import asyncio
from typing import Any

import redis

from benchmarks import harness
from benchmarks.process import cpu_seconds
from ironforge.registry import Forge

WARM_UP_SECONDS = 5.0


async def run(*, seconds: float = 20.0, **flags: Any) -> dict[str, Any]:
    """Percent of one core, and commands a second."""
    with harness.server(**flags) as settings, harness.nodes(settings, 1) as [pid]:
        async with harness.doors(settings) as opened, Forge(settings) as submitter:
            await submitter.submit("bench.noop")
            await harness.time_of(opened, [1])
        await asyncio.sleep(WARM_UP_SECONDS)
        with redis.Redis.from_url(settings.redis_url) as client:
            commands, before = client.info("stats")["total_commands_processed"], cpu_seconds(pid)
            await asyncio.sleep(seconds)
            used = cpu_seconds(pid) - before
            # One of the commands is the first INFO, which counts itself only afterwards.
            sent = client.info("stats")["total_commands_processed"] - commands - 1
    figures = {"% of a core": used / seconds * 100, "commands/s": sent / seconds}
    return {"unit": "see the column", "seconds": seconds, "figures": {"idle node": figures}}
