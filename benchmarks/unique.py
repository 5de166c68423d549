"""What does a unique key cost: a submission that has one, beside a plain one, and the server's memory for the key?

Plain jobs, fresh keys, fresh keys that are held for a time, and keys that another job holds are submitted by turns, in
bulk and one by one, so that all meet the same machine. Processor time is that of the submitting process and of the
server together: on a machine with other work it says more than the rate.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import redis

from benchmarks import harness
from benchmarks.submit import BATCH, CLIENTS
from ironforge.handlers.forge import Forge
from ironforge.job.unique_option import Unique

HELD_SECONDS = 3600.0
HELD = 0  # the account of a job that waits
# Of a kind whose key is the account; a plain one's payload is the same.
KINDS: dict[str, Unique | None] = {
    "plain": None,
    "fresh keys": Unique(key="account"),
    "fresh keys, for_seconds": Unique(key="account", while_="unfinished", for_seconds=HELD_SECONDS),
    "duplicates": Unique(key="account"),
}

Accounts = Callable[[], int]


def _forge(settings: Any, unique: Unique | None) -> Forge:
    forge = Forge(settings)

    async def handler(account: int) -> None:
        """Never runs: no node is there."""

    forge.job("bench.unique", unique=unique)(handler)
    return forge


async def _bulk(forge: Forge, account: Accounts, jobs: int) -> None:
    for _ in range(jobs // BATCH):
        await forge.submit_many("bench.unique", [{"account": account()} for _ in range(BATCH)])


async def _singly(forge: Forge, account: Accounts, jobs: int) -> None:
    async def client() -> None:
        for _ in range(jobs // CLIENTS):
            await forge.submit("bench.unique", {"account": account()})

    await asyncio.gather(*(client() for _ in range(CLIENTS)))


WAYS = {f"bulk, {BATCH} a call": (_bulk, 1), f"one by one, {CLIENTS} at a time": (_singly, 4)}


async def _once(way: Any, name: str, jobs: int, flags: dict[str, Any]) -> tuple[float, float]:
    """Jobs a second, and µs of processor time a job."""
    with harness.server(**flags) as settings, redis.Redis.from_url(settings.redis_url) as raw:
        async with _forge(settings, KINDS[name]) as forge:
            numbers: Iterator[int] = itertools.repeat(HELD) if name == "duplicates" else itertools.count(HELD)
            await way(forge, numbers.__next__, BATCH)
            start, used = time.perf_counter(), time.process_time() + _server_seconds(raw)
            await way(forge, numbers.__next__, jobs)
            seconds = time.perf_counter() - start
            return jobs / seconds, (time.process_time() + _server_seconds(raw) - used) / jobs * 1e6


def _server_seconds(raw: redis.Redis) -> float:
    known: Any = raw.info("cpu")
    return float(known["used_cpu_user"] + known["used_cpu_sys"])


async def _memory(name: str, jobs: int, flags: dict[str, Any]) -> float:
    """Bytes that the server takes for these jobs with all that belongs to them."""
    with harness.server(**flags) as settings, redis.Redis.from_url(settings.redis_url) as raw:
        async with _forge(settings, KINDS[name]) as forge:
            before: Any = raw.info("memory")
            await _bulk(forge, itertools.count().__next__, jobs)
            after: Any = raw.info("memory")
            return float(after["used_memory"] - before["used_memory"])


def _beside_plain(runs: dict[str, list[tuple[float, float]]], name: str) -> dict[str, Any]:
    """The rate, and both figures as parts of those of the plain runs right before."""
    pairs = list(zip(runs[name], runs["plain"], strict=True))
    return {
        **harness.spread([rate for rate, _ in runs[name]]),
        "of plain": statistics.median(rate / plain for (rate, _), (plain, _) in pairs),
        "CPU us": statistics.median(used for _, used in runs[name]),
        "of plain by CPU": statistics.median(plain / used for (_, used), (_, plain) in pairs),
    }


async def run(*, jobs: int = 100_000, repeats: int = 3, **flags: Any) -> dict[str, Any]:
    """Jobs per second, the part of the plain rate, and bytes a key."""
    figures: dict[str, dict[str, Any]] = {}
    for title, (way, share) in WAYS.items():
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in KINDS}
        for _ in range(repeats):
            for name, found in runs.items():
                found.append(await _once(way, name, jobs // share, flags))
        figures |= {f"{title}: {name}": _beside_plain(runs, name) for name in KINDS}
    plain, *keyed = [await _memory(name, jobs, flags) for name in list(KINDS)[:3]]
    for name, used in zip(list(KINDS)[1:], keyed, strict=False):
        figures[f"memory of a key: {name}"] = {"bytes": (used - plain) / jobs}
    return {"unit": "jobs/s, parts of plain, us of processor time a job", "jobs": jobs, "figures": figures}
