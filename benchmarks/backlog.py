"""What does a queued job cost the server, and does a long queue make a node slower?

A job of 48 bytes of payload waits in a stream and in the index; its cost is the server's `used_memory` before and
after, divided by their number. The rate is that of one node over the same number of jobs from either backlog. Five
million of them take the server more than a gigabyte, and a while.
"""

from __future__ import annotations

import asyncio
from typing import Any

import redis

from benchmarks import harness
from ironforge.handlers.forge import Forge

PAYLOAD = {"to": "someone@example.com", "subject": "hello"}  # 48 bytes of JSON, with its punctuation
BATCH = 5_000
SHORT = 50_000
MEASURED = (0.2, 0.95)


async def _once(queued: int, flags: dict[str, Any]) -> tuple[float, float]:
    """Bytes a queued job, and jobs per second of one node while it works off the first SHORT of them."""
    with harness.server(**flags) as settings:
        async with harness.store_client(settings) as opened, Forge(settings) as submitter:
            with redis.Redis.from_url(settings.redis_url) as client:
                await submitter.submit("bench.noop", PAYLOAD)
                before = client.info("memory")["used_memory"]
                for _ in range(queued // BATCH):
                    await submitter.submit_many("bench.noop", [PAYLOAD] * BATCH)
                await _rewritten(client)
                cost = (client.info("memory")["used_memory"] - before) / queued
            first, last = (int(SHORT * share) for share in MEASURED)
            with harness.nodes(settings, 1):
                start, end = await harness.time_of(opened, [first, last])
            return cost, (last - first) / (end - start)


async def _rewritten(client: redis.Redis) -> None:
    """A server that has been filled rewrites its AOF: work of the filling, which would be measured as draining."""
    while True:
        state = client.info("persistence")
        if not state["aof_rewrite_in_progress"] and not state["aof_rewrite_scheduled"]:
            return
        await asyncio.sleep(0.1)


async def run(*, jobs: int = 5_000_000, repeats: int = 3, **flags: Any) -> dict[str, Any]:
    """Bytes of the server for each queued job; jobs per second, long backlog against short."""
    if jobs <= SHORT:
        raise ValueError(f"{jobs} jobs are no long backlog: more than {SHORT} are needed")
    runs: dict[int, list[tuple[float, float]]] = {SHORT: [], jobs: []}
    for _ in range(repeats):
        for queued, found in runs.items():
            found.append(await _once(queued, flags))
    figures = {
        f"{queued:,} queued": {
            "bytes a job": harness.spread([cost for cost, _rate in found])["median"],
            **harness.spread([rate for _cost, rate in found]),
        }
        for queued, found in runs.items()
    }
    short, long = (figure["median"] for figure in figures.values())
    return {"unit": "jobs/s", "jobs": jobs, "figures": {**figures, "long against short": {"ratio": long / short}}}
