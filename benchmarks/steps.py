"""What do steps of jobs cost: recorded in a second, added to a job, and in jobs that wait?

The jobs of the first figure have ten steps each, which do nothing; the rate is that of steps between 20 % and 95 % of
the jobs. What a step adds to a job is timed around it, in jobs that run one by one. The jobs that wait sleep for a
month: what a node and the server cost meanwhile, and a plain job beside them, stands next to the same without them.
With the durability `local` a step waits for the disk, so what that takes alone stands beside it.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from typing import Any

import msgspec
import redis

from benchmarks import harness, idle
from benchmarks.drain import fill
from ironforge.handlers.forge import Forge
from ironforge.job.record import parse_id
from ironforge.redis.keys import Keys
from ironforge.store import StoreClient

STEPS = 10
TIMED = 200
WARMING = 20


async def _rate(jobs: int, nodes: int, flags: dict[str, Any]) -> float:
    """Steps per second."""
    with harness.server(**flags) as settings:
        async with harness.store_client(settings) as opened, Forge(settings) as submitter:
            await submitter.submit_many("bench.steps", [{"steps": STEPS}] * jobs)
            first, last = int(jobs * 0.2), int(jobs * 0.95)
            with harness.nodes(settings, nodes):
                start, end = await harness.time_of(opened, [first, last])
                await harness.time_of(opened, [jobs])
            return (last - first) * STEPS / (end - start)


async def _added(flags: dict[str, Any]) -> dict[str, float]:
    """Milliseconds that a step takes, in a job with nothing beside it."""
    found: list[float] = []
    with harness.server(**flags) as settings, harness.nodes(settings, 1):
        async with harness.store_client(settings) as opened, Forge(settings) as submitter:
            for number in range(1, WARMING + TIMED + 1):
                job_id = await submitter.submit("bench.steps", {"steps": STEPS})
                await harness.time_of(opened, [number], look_seconds=0.001)
                view = await opened.inspector.get(parse_id(job_id))
                found += msgspec.json.decode(view.job.result) if number > WARMING else []
    return {f"p{percent:g}": harness.percentile(sorted(found), percent) for percent in (50, 99)}


async def _waiting(jobs: int, plain: int, seconds: float, flags: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Beside so many jobs that wait: what an idle node costs, what each of them takes, and how fast others run."""
    with harness.server(**flags) as settings:
        async with harness.store_client(settings) as opened, Forge(settings) as submitter:
            await submitter.submit("bench.noop")
            with harness.nodes(settings, 1, quiet=True) as [pid]:
                await harness.time_of(opened, [1])
                empty = (await opened.inspector.health()).used_memory
                await fill(submitter, jobs, [{"retain_seconds": 0}], kind="bench.sleep")
                with redis.Redis.from_url(settings.redis_url) as client:
                    while client.zcard(Keys(settings.namespace).waiting("sleep")) < jobs:
                        await asyncio.sleep(harness.LOOK_SECONDS)
                taken = (await opened.inspector.health()).used_memory - empty
                cost = await idle.cost(settings, pid, seconds)
            rate = await _drain(opened, submitter, settings, plain)
    name = f"{jobs:,} waiting"
    figures = {f"idle node, {name}": cost, f"plain jobs beside {name}, jobs/s": {"median": rate}}
    return figures | ({"memory of a waiting job": {"bytes": taken / jobs}} if jobs else {})


async def _drain(opened: StoreClient, submitter: Forge, settings: Any, jobs: int) -> float:
    done = await harness.completed(opened)
    await fill(submitter, jobs)
    marks = [done + int(jobs * 0.2), done + int(jobs * 0.95)]
    with harness.nodes(settings, 1, quiet=True):
        start, end = await harness.time_of(opened, marks)
        await harness.time_of(opened, [done + jobs])
    return (marks[1] - marks[0]) / (end - start)


async def run(
    *,
    jobs: int = 100_000,
    repeats: int = 3,
    seconds: float = 10.0,
    nodes: Sequence[int] = (1, 2),
    **flags: Any,
) -> dict[str, Any]:
    """`jobs` wait, and a tenth of them run with ten steps each; `seconds`: of the idle node."""
    figures: dict[str, Any] = {}
    for durability in ("relaxed", "local"):
        given = {**flags, "durability": durability}
        for count in nodes:
            once = functools.partial(_rate, jobs // 10, count, given)
            name = f"steps/s, {durability}, {count} node{'s' if count > 1 else ''}"
            figures[name] = await harness.repeat(repeats, once)
        figures[f"a step adds, {durability}, ms"] = await _added(given)
    figures["the disk alone, ms"] = harness.write_through()
    for waiting in (0, jobs):
        figures |= await _waiting(waiting, jobs, seconds, flags)
    return {"unit": "steps/s, ms, bytes", "jobs": jobs, "figures": figures}
