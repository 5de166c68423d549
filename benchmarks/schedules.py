"""How late do ticks fire, when many are due at once, and what do schedules cost that are not due?

All schedules are defined before the processes start that fire them. How late a tick is, is told twice: until its job
is in the queue, by the history of its schedule, and until the handler starts, which the node's fetch and all earlier
jobs lie before. Meanwhile a caller of the server pings it: a script keeps all others waiting. What submitting as many
jobs takes without schedules, in calls of as many, is measured beside it. Idle costs and memory are those of a
namespace with so many schedules beside one without.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from benchmarks import harness, idle
from benchmarks.timers import all_completed
from ironforge.formats.timestamps import now_ms
from ironforge.handlers.forge import Forge
from ironforge.job.record import created_ms_of
from ironforge.job.request import JobRequest
from ironforge.redis.connection import Connection
from ironforge.redis.keys import Keys
from ironforge.schedules.definition import Schedule
from ironforge.schedules.ticks import ticks
from ironforge.settings import Settings
from ironforge.store import StoreClient
from ironforge.store.schedules.claims import AT_ONCE
from ironforge.store.schedules.contract import StoredSchedule
from ironforge.store.schedules.shard import ScheduleShard
from ironforge.store.schedules.stored import Held, Position
from ironforge.store.schedules.ticking import next_tick

CONNECTIONS = 8
# From the definition of the first of those that are due to their ticks.
LEAD_SECONDS = 6.0
LEAD_SECONDS_EACH = 0.002
WATCHED_SECONDS = 2.0
PING_SECONDS = 0.002
DAY_SECONDS = 86_400.0
PREVIEWED = 100
IDLE_SECONDS = 10.0

_JOB = JobRequest(kind="bench.noop", payload=msgspec.Raw(b'{"to":"someone"}'))
IDLE = Schedule(job=_JOB, cron=("0 9 29 2 *",), timezone="Europe/Berlin")
PREVIEWS = {
    "every weekday at nine": Schedule(job=_JOB, cron=("0 9 * * 1-5",), timezone="Europe/Berlin"),
    "each minute": Schedule(job=_JOB, cron=("* * * * *",), timezone="Europe/Berlin"),
    "29 February": Schedule(job=_JOB, cron=("0 9 29 2 *",), timezone="Europe/Berlin"),
    "16 lines": Schedule(
        job=_JOB, cron=tuple(f"{line} {line} * * 1-5" for line in range(16)), timezone="America/New_York"
    ),
    "400 exclusions": Schedule(
        job=_JOB,
        cron=("0 9 * * *",),
        timezone="Europe/Berlin",
        exclude=tuple(f"* {number % 24} {1 + number % 28} {1 + number % 12} *" for number in range(400)),
    ),
}


async def _define(settings: Settings, schedules: dict[str, Schedule]) -> None:
    """Over several connections at once. Those of one definition without jitter have one next tick, found once."""
    todo = iter(schedules.items())
    at_ms = now_ms()
    distinct = {id(schedule): (name, schedule) for name, schedule in schedules.items()}
    first_ticks = {key: next_tick(name, schedule, at_ms) for key, (name, schedule) in distinct.items()}

    async def some() -> None:
        async with Connection(settings.redis_url) as connection:
            shard = ScheduleShard(settings, Keys(settings.namespace), 0, connection)
            for name, schedule in todo:
                stored = StoredSchedule(schedule, created_ms=at_ms, updated_ms=at_ms)
                await shard.write(Held(name, b"", b""), stored, Position().to(first_ticks[id(schedule)]))

    await asyncio.gather(*(some() for _ in range(CONNECTIONS)))


def _idle_ones(count: int) -> dict[str, Schedule]:
    return {f"report-{number:06}": IDLE for number in range(count)}


def _due_at(first: float, seconds: float, count: int) -> dict[str, Schedule]:
    """Spread evenly over so many seconds from `first`, each of them once a day."""
    return {
        f"due-{number:06}": Schedule(
            job=_JOB,
            every_seconds=DAY_SECONDS,
            start=datetime.fromtimestamp(round(first + seconds * number / count, 3), UTC),
        )
        for number in range(count)
    }


@contextlib.asynccontextmanager
async def _server(schedules: int, flags: dict[str, Any]) -> AsyncIterator[Settings]:
    """With so many schedules that are due in years at the earliest."""
    with harness.server(**flags) as settings:
        await _define(settings, _idle_ones(schedules))
        yield settings


async def late(
    schedules: int, due: int, seconds: float, nodes: int, flags: dict[str, Any]
) -> dict[str, dict[str, float]]:
    """Milliseconds, of those of `schedules` that tick within so many seconds."""
    async with _server(schedules - due, flags) as settings, harness.store_client(settings) as opened:
        with harness.nodes(settings, nodes, quiet=True):
            while len(await opened.inspector.nodes()) < nodes:
                await asyncio.sleep(harness.LOOK_SECONDS)
            first = float(round(time.time() + LEAD_SECONDS + LEAD_SECONDS_EACH * due))
            names = _due_at(first, seconds, due)
            await _define(settings, names)
            left = first - WATCHED_SECONDS / 2 - time.time()
            if left < 0:
                raise SystemExit(f"to define {due} schedules took {-left:.1f} s more than it may")
            await asyncio.sleep(left)
            pings = asyncio.create_task(_pings(settings, seconds + WATCHED_SECONDS))
            await harness.time_of(opened, [due], look_seconds=0.1)
            pinged = await pings
            queued = sorted([(await opened.schedules.history(name))[0].late_ms for name in names])
            started = sorted(
                float(view.job.started_ms - created_ms_of(view.job.id)) for view in await all_completed(opened)
            )
    return {"queued": _spread(queued), "started": _spread(started), "ping": _spread(pinged)}


def _spread(ordered: Sequence[float]) -> dict[str, float]:
    return {"p50": harness.percentile(ordered, 50), "p99": harness.percentile(ordered, 99), "max": ordered[-1]}


async def _pings(settings: Settings, seconds: float) -> list[float]:
    """Milliseconds, in order of size."""
    found: list[float] = []
    until = time.monotonic() + seconds
    async with Connection(settings.redis_url) as connection:
        while time.monotonic() < until:
            begin = time.perf_counter()
            await connection.call("PING")
            found.append((time.perf_counter() - begin) * 1000)
            await asyncio.sleep(PING_SECONDS)
    return sorted(found)


async def floor(due: int, flags: dict[str, Any]) -> dict[str, float]:
    """Milliseconds until as many jobs are in the queue without schedules, from one process and in calls as large."""
    with harness.server(**flags) as settings:
        async with Forge(settings) as forge:
            payloads: Sequence[dict[str, str]] = [{"to": "someone"}] * AT_ONCE
            took: list[float] = []
            await forge.submit_many("bench.noop", payloads)
            begin = time.perf_counter()
            for _ in range(0, due, AT_ONCE):
                await forge.submit_many("bench.noop", payloads)
                took += [(time.perf_counter() - begin) * 1000] * AT_ONCE
    return _spread(took)


async def _idle(schedules: int, flags: dict[str, Any]) -> dict[str, float]:
    async with _server(schedules, flags) as settings:
        with harness.nodes(settings, 1, quiet=True) as [pid]:
            return await idle.cost(settings, pid, IDLE_SECONDS)


async def _memory(schedules: int, flags: dict[str, Any]) -> float:
    """Bytes a schedule."""
    async with _server(0, flags) as settings, harness.store_client(settings) as opened:
        before = await _used(opened)
        await _define(settings, _idle_ones(schedules))
        return (await _used(opened) - before) / schedules


async def _used(opened: StoreClient) -> int:
    return (await opened.inspector.health()).used_memory


def _preview(schedule: Schedule, repeats: int) -> dict[str, float]:
    """Milliseconds."""
    took: list[float] = []
    for _ in range(repeats):
        begin = time.perf_counter()
        list(itertools.islice(ticks(schedule, now_ms()), PREVIEWED))
        took.append((time.perf_counter() - begin) * 1000)
    return {"p50": statistics.median(took), "max": max(took)}


async def run(
    *, schedules: int = 100_000, due: int = 10_000, repeats: int = 3, seconds: float = 10.0, **flags: Any
) -> dict[str, Any]:
    """`due` of `schedules` tick in one minute, and at one moment; `seconds`: of looking at an idle node."""
    flags = {"max_schedules": 2 * schedules, **flags}
    figures: dict[str, dict[str, float]] = {}
    for when, spread, nodes in (
        (f"in {seconds:g} s", seconds, 1),
        ("at one moment", 0.0, 1),
        ("at one moment, two nodes", 0.0, 2),
    ):
        runs = [await late(schedules, due, spread, nodes, flags) for _ in range(repeats)]
        median = sorted(runs, key=lambda run: run["queued"]["p99"])[repeats // 2]
        figures |= {f"{due:,} {when}: {what}, ms": found for what, found in median.items()}
    floors = [await floor(due, flags) for _ in range(repeats)]
    figures[f"{due:,} plain jobs: queued, ms"] = sorted(floors, key=lambda run: run["p99"])[repeats // 2]
    for count in (0, schedules):
        for what, cost in (await _idle(count, flags)).items():
            figures[f"idle with {count:,}: {what}"] = {"figure": cost}
    figures["memory of a schedule, bytes"] = {"figure": await _memory(schedules, flags)}
    for what, schedule in PREVIEWS.items():
        figures[f"{PREVIEWED} ticks of {what}, ms"] = _preview(schedule, 10 * repeats)
    return {"unit": "in the rows", "schedules": schedules, "due": due, "figures": figures}
