"""What do limits cost, and how exactly do they hold?

Jobs with one concurrency key each are drained beside plain ones, by turns. A rate is met by two nodes that have more
than enough to do. Another key's jobs are timed alone, and while many wait behind a key that is full. A node that has
nothing to do is looked at beside keys that are in use. Memory is what the server takes for those, beside what their
jobs take without.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from benchmarks import harness, idle
from ironforge.job.limits import Limit, LimitUse, Rate
from ironforge.job.record import RECORD_VERSION, Job, JobState, created_ms_of, new_id
from ironforge.store import StoreClient, Submission

BATCH = 500
KEYS = 1_000
RATE = 1_000
TIMED = 2_000
WARMING = 100


def _job(*limits: LimitUse, kind: str = "bench.noop") -> Job:
    job_id = new_id()
    return Job(
        RECORD_VERSION if limits else 1, job_id, kind, "default", 2, b"null", created_ms_of(job_id), limits=limits
    )


async def _fill(opened: StoreClient, jobs: Sequence[Job]) -> None:
    for start in range(0, len(jobs), BATCH):
        await opened.producer.submit([Submission(job) for job in jobs[start : start + BATCH]])


async def _drain(jobs: int, flags: dict[str, Any], *, keyed: bool) -> dict[str, float]:
    """Jobs per second."""
    with harness.server(**flags) as settings:
        async with harness.store_client(settings) as opened:
            await opened.limits.put("one", Limit(concurrency=1))
            made = [_job(*([LimitUse("one", f"k{number % KEYS}")] if keyed else [])) for number in range(jobs)]
            start = time.perf_counter()
            await _fill(opened, made)
            submitted = jobs / (time.perf_counter() - start)
            first, last = int(jobs * 0.2), int(jobs * 0.95)
            with harness.nodes(settings, 1, quiet=True):
                begin, end = await harness.time_of(opened, [first, last])
                await harness.time_of(opened, [jobs])
    return {"submit": submitted, "drain": (last - first) / (end - begin)}


async def _rate(seconds: float, flags: dict[str, Any]) -> float:
    """Starts per second of a limit of `RATE`, once its burst is used up."""
    with harness.server(**flags) as settings:
        async with harness.store_client(settings) as opened:
            await opened.limits.put("rate", Limit(rate=Rate(RATE)))
            await _fill(opened, [_job(LimitUse("rate", "a")) for _ in range(int(RATE * (seconds + 4)))])
            with harness.nodes(settings, 2, quiet=True):
                await harness.time_of(opened, [2 * RATE])
                begin, first = time.perf_counter(), await harness.completed(opened)
                await harness.time_of(opened, [first + int(RATE * seconds)], look_seconds=0.01)
                return (await harness.completed(opened) - first) / (time.perf_counter() - begin)


async def _others(behind: int, flags: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Milliseconds from submission to end of jobs of another key, alone and with `behind` jobs behind a full one: by
    turns on two servers, each as often the first of a turn, so that both meet the same machine."""
    async with _beside(0, flags) as alone, _beside(behind, flags) as full:
        found: tuple[list[float], list[float]] = ([], [])
        for number in range(2 * (WARMING + TIMED)):
            which = (number + number // 2) % 2
            spent = await _time((alone, full)[which])
            if number >= 2 * WARMING:
                found[which].append(spent)
    figures = {
        f"another key, {count:,} behind a full one, ms": {
            f"p{percent:g}": harness.percentile(sorted(times), percent) for percent in (50, 99)
        }
        for count, times in zip((0, behind), found, strict=True)
    }
    alone_ms, full_ms = figures.values()
    figures["of alone"] = {percent: full_ms[percent] / of_alone for percent, of_alone in alone_ms.items()}
    return figures


@contextlib.asynccontextmanager
async def _beside(behind: int, flags: dict[str, Any]) -> AsyncIterator[StoreClient]:
    with harness.server(**flags) as settings:
        async with harness.store_client(settings) as opened:
            await opened.limits.put("one", Limit(concurrency=1))
            await opened.limits.put("free", Limit(concurrency=100))
            holder = _job(LimitUse("one", "full"), kind="bench.forever")
            await _fill(opened, [holder, *(_job(LimitUse("one", "full")) for _ in range(behind))])
            with harness.nodes(settings, 1, quiet=True, IRONFORGE_DRAIN_SECONDS="0"):
                while (await opened.inspector.get(holder.id)).state is not JobState.RUNNING:
                    await asyncio.sleep(harness.LOOK_SECONDS)
                yield opened


async def _time(opened: StoreClient) -> float:
    job = _job(LimitUse("free", "other"))
    begin = time.perf_counter()
    await opened.producer.submit([Submission(job)])
    while (await opened.inspector.get(job.id)).state is not JobState.COMPLETED:
        pass
    return (time.perf_counter() - begin) * 1000


async def _memory(keys: int, flags: dict[str, Any]) -> float:
    """Bytes a key in use, beside a job without."""
    used = []
    for keyed in (False, True):
        with harness.server(**flags) as settings:
            async with harness.store_client(settings) as opened:
                await opened.limits.put("one", Limit(concurrency=1))
                await _fill(opened, [_job(*([LimitUse("one", f"account-{n}")] if keyed else [])) for n in range(keys)])
                used.append((await opened.inspector.health()).used_memory)
    return (used[1] - used[0]) / keys


async def _idle(keys: int, seconds: float, flags: dict[str, Any]) -> dict[str, float]:
    """What a node costs while jobs of so many keys wait in a queue that is paused."""
    with harness.server(**flags) as settings:
        async with harness.store_client(settings) as opened:
            await opened.limits.put("one", Limit(concurrency=1))
            await opened.producer.set_paused("default", paused=True)
            await _fill(opened, [_job(LimitUse("one", f"account-{n}")) for n in range(keys)])
            with harness.nodes(settings, 1, quiet=True) as [pid]:
                return await idle.cost(settings, pid, seconds)


async def run(
    *, jobs: int = 100_000, behind: int = 100_000, repeats: int = 3, seconds: float = 10.0, **flags: Any
) -> dict[str, Any]:
    """`jobs` drained, and keys in use; `behind`: jobs that wait behind a full key; `seconds`: of the rate, and idle."""
    runs: dict[str, list[dict[str, float]]] = {"plain": [], f"{KEYS:,} keys": []}
    for _ in range(repeats):
        for (_, found), keyed in zip(runs.items(), (False, True), strict=True):
            found.append(await _drain(jobs, flags, keyed=keyed))
    figures: dict[str, dict[str, Any]] = {
        f"{what}, {name}, jobs/s": harness.spread([one[what] for one in found])
        for what in ("drain", "submit")
        for name, found in runs.items()
    }
    figures[f"a rate of {RATE:,}, two nodes"] = {"jobs/s": await _rate(seconds, flags)}
    figures |= await _others(behind, flags)
    for keys in (0, jobs):
        figures[f"idle node, {keys:,} keys in use"] = await _idle(keys, seconds, flags)
    figures["memory of a key in use"] = {"bytes": await _memory(jobs, flags)}
    return {"unit": "jobs/s, ms, bytes", "jobs": jobs, "figures": figures}
