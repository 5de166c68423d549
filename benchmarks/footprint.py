"""What does a node cost: memory when fresh and after many jobs, processor and commands when idle; and a queued job?

Memory of a node is PSS: what it shares with others is counted once among them. Memory of a job is the server's
`used_memory` before and after, divided by the number of queued jobs.
"""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Any

import redis

from benchmarks import harness
from benchmarks.drain import fill
from ironforge.registry import Forge

IDLE_SECONDS = 20.0
PAYLOAD = {"to": "someone@example.com", "subject": "hello"}  # 48 bytes of JSON, with its punctuation


def _pss_mb(pid: int) -> float:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    assert found
    return int(found[1]) / 1024


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _node(jobs: int, flags: dict[str, Any]) -> dict[str, float]:
    with harness.server(**flags) as settings, harness.nodes(settings, 1) as [pid]:
        async with harness.doors(settings) as opened, Forge(settings) as submitter:
            await submitter.submit_many("bench.noop", [None] * 100)
            await harness.time_of(opened, [100])
            fresh = _pss_mb(pid)
            client = redis.Redis.from_url(settings.redis_url)
            commands, before = client.info("stats")["total_commands_processed"], _cpu_seconds(pid)
            await asyncio.sleep(IDLE_SECONDS)
            used = _cpu_seconds(pid) - before
            # Two of the commands are this measurement itself.
            sent = client.info("stats")["total_commands_processed"] - commands - 2
            await fill(submitter, jobs)
            await harness.time_of(opened, [100 + jobs])
            return {
                "fresh MB": fresh,
                f"after {jobs} jobs MB": _pss_mb(pid),
                "idle % of a core": used / IDLE_SECONDS * 100,
                "idle commands/s": sent / IDLE_SECONDS,
            }


async def _job(jobs: int, flags: dict[str, Any]) -> dict[str, float]:
    with harness.server(**flags) as settings:
        async with Forge(settings) as submitter:
            client = redis.Redis.from_url(settings.redis_url)
            await submitter.submit("bench.noop", PAYLOAD)
            before = client.info("memory")["used_memory"]
            for _ in range(jobs // 5_000):
                await submitter.submit_many("bench.noop", [PAYLOAD] * 5_000)
            return {"bytes": (client.info("memory")["used_memory"] - before) / jobs}


async def run(*, jobs: int, **flags: Any) -> dict[str, Any]:
    """Megabytes, percent, commands; bytes of the server for each queued job."""
    return {
        "unit": "see the column",
        "jobs": jobs,
        "figures": {"node": await _node(jobs, flags), "queued job": await _job(jobs, flags)},
    }
