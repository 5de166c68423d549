"""What does a node cost that has nothing to do, in processor time and in commands to the server? Linux only."""

from __future__ import annotations

import asyncio
from typing import Any

import redis

from benchmarks import harness
from benchmarks.process import cpu_seconds
from ironforge.registry import Forge

WARM_UP_SECONDS = 5.0


def _sent(client: redis.Redis) -> int:
    """By everybody but this client itself; what scripts do inside counts as the one command that was sent."""
    own = client.client_id()
    return sum(int(one["tot-cmds"]) for one in client.client_list() if int(one["id"]) != own)


async def run(*, seconds: float = 20.0, **flags: Any) -> dict[str, Any]:
    """Percent of one core, and commands that the node sends a second. Needs a Valkey."""
    with harness.server(**flags) as settings, harness.nodes(settings, 1) as [pid]:
        async with harness.doors(settings) as opened, Forge(settings) as submitter:
            await submitter.submit("bench.noop")
            await harness.time_of(opened, [1])
        await asyncio.sleep(WARM_UP_SECONDS)
        with redis.Redis.from_url(settings.redis_url) as client:
            before, used = _sent(client), cpu_seconds(pid)
            await asyncio.sleep(seconds)
            used, sent = cpu_seconds(pid) - used, _sent(client) - before
    figures = {"% of a core": used / seconds * 100, "commands/s": sent / seconds}
    return {"unit": "see the column", "seconds": seconds, "figures": {"idle node": figures}}
