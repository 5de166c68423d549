"""What does a node cost that has nothing to do, in processor time and in commands to the server? Linux only."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import redis

from benchmarks import harness
from benchmarks.process import cpu_seconds
from ironforge.handlers.forge import Forge
from ironforge.settings import Settings

WARM_UP_SECONDS = 5.0


def _sent(url: str, seconds: float) -> int:
    """Commands of all connections; what a script does inside belongs to the one command that called it."""
    sent, until = 0, time.monotonic() + seconds
    with redis.Redis.from_url(url) as client, client.monitor() as monitor:
        for command in monitor.listen():
            if time.monotonic() > until:
                return sent
            sent += command["client_type"] != "lua"
    raise AssertionError("a server that is monitored never ends")


async def cost(settings: Settings, pid: int, seconds: float) -> dict[str, float]:
    """Of a node that has nothing to do, once it has come to rest: percent of one core, of its own and of the server's
    time, and commands that it sends a second."""
    with redis.Redis.from_url(settings.redis_url) as client:
        known: Any = client.info("server")
    await asyncio.sleep(WARM_UP_SECONDS)
    pids = (pid, known["process_id"])
    before = [cpu_seconds(one) for one in pids]
    sent = await asyncio.to_thread(_sent, settings.redis_url, seconds)
    node, server = ((cpu_seconds(one) - used) / seconds * 100 for one, used in zip(pids, before, strict=True))
    return {"% of a core": node, "% of a core, server": server, "commands/s": sent / seconds}


async def run(*, seconds: float = 20.0, **flags: Any) -> dict[str, Any]:
    with harness.server(**flags) as settings, harness.nodes(settings, 1) as [pid]:
        async with harness.store_client(settings) as opened, Forge(settings) as submitter:
            await submitter.submit("bench.noop")
            await harness.time_of(opened, [1])
        figures = await cost(settings, pid, seconds)
    return {"unit": "see the column", "seconds": seconds, "figures": {"idle node": figures}}
