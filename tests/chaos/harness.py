"""One run: a private server and nodes, load, faults in both lanes, healing, drain, a look at every job, the verdict.

Load, node faults and judgement are those of `ironforge verify`; what is added is a server that may be hurt as well,
and the ledger of a run that broke a promise is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import redis.asyncio

from ironforge.config import Settings, load
from ironforge.embedded import EmbeddedServer
from ironforge.errors import JobNotFound, StoreUnavailable
from ironforge.job import decode, format_id, parse_id
from ironforge.registry import Forge
from ironforge.store import Doors
from ironforge.store.keys import Keys
from ironforge.verify.ledger import Event, Ledger, read
from ironforge.verify.nodes import Nodes
from ironforge.verify.run import Load, Plan
from ironforge.verify.verdict import Final, Verdict, judge
from tests.chaos.scenarios import SCENARIOS, Scenario
from tests.chaos.server import Server

LEASE_SECONDS = 1.5
DRAIN_SECONDS = 60.0
LOOK_SECONDS = 0.05
KEPT = Path(".ironforge/chaos")


class Outcome(msgspec.Struct):
    """`discarded`: this process itself was late by more than a third of a lease, so the machine failed, not we."""

    scenario: str
    seed: int
    verdict: Verdict
    drain_seconds: float
    server_recovery_seconds: dict[str, float]
    lag_seconds: float
    discarded: bool
    seconds: float


async def run(name: str, plan: Plan, *, kept: Path = KEPT) -> Outcome:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ironforge-chaos-") as base:
        folder = Path(base) / "ledgers"
        folder.mkdir()
        verdict, drain_seconds, lag_seconds = await _run(SCENARIOS[name], plan, Path(base) / "data", folder)
        discarded = lag_seconds > LEASE_SECONDS / 3
        outcome = Outcome(
            *(name, plan.seed, verdict, drain_seconds, _server_recovery(read(folder)), lag_seconds, discarded),
            seconds=time.monotonic() - began,
        )
        if verdict.violations:
            place = kept / f"{name}-{plan.seed}"
            shutil.copytree(folder, place, dirs_exist_ok=True)
            (place / "outcome.json").write_bytes(msgspec.json.encode(outcome))
    return outcome


async def _run(scenario: Scenario, plan: Plan, data: Path, folder: Path) -> tuple[Verdict, float, float]:
    rng = random.Random(plan.seed)
    async with AsyncExitStack() as stack:
        embedded = stack.enter_context(EmbeddedServer(Settings(data_dir=str(data), durability="local")))
        settings = load({}, redis_url=embedded.url, durability="local", lease_seconds=LEASE_SECONDS, concurrency=64)
        forge = await stack.enter_async_context(Forge(settings))
        doors = Doors.open(settings)
        stack.push_async_callback(doors.close)
        ledger = Ledger(folder / "run.ledger")
        stack.callback(ledger.close)
        nodes = Nodes(settings, folder, ledger)
        stack.push_async_callback(nodes.stop)
        nodes.start(plan.nodes)
        await _warm(doors, plan.nodes)
        server = Server(embedded, folder, ledger, LEASE_SECONDS)
        submitting = Load(plan, random.Random(rng.random()), forge, doors, ledger)
        lag = asyncio.create_task(_lag(plan.seconds))
        async with asyncio.TaskGroup() as group:
            group.create_task(submitting.run())
            for hurt, pause in (
                (nodes.hurt, scenario.node_pause_seconds),
                (server.hurt, scenario.server_pause_seconds),
            ):
                group.create_task(_lane(hurt, pause, random.Random(rng.random()), plan.seconds))
        ledger.note("heal")
        healed = time.monotonic()
        await _drained(doors)
        drain_seconds = time.monotonic() - healed
        finals = await _finals(settings, doors, submitting.ids)
        completed = (await doors.inspection.stats()).totals.get("completed", 0)
        lag_seconds = await lag
    verdict = judge(read(folder), finals, completed, lease_seconds=LEASE_SECONDS)
    return verdict, drain_seconds, lag_seconds


async def _warm(doors: Doors, nodes: int) -> None:
    async with asyncio.timeout(30):
        while len(await doors.inspection.nodes()) < nodes:
            await asyncio.sleep(LOOK_SECONDS)


async def _drained(doors: Doors) -> None:
    """Until nothing is queued, running or scheduled; a run that does not get there fails by what it left behind."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(StoreUnavailable):
            stats = await doors.inspection.stats()
            if not stats.scheduled + sum(depth.queued + depth.running for depth in stats.streams):
                return
        await asyncio.sleep(LOOK_SECONDS)


async def _lane(
    hurt: Callable[[random.Random], Awaitable[None]], pause_seconds: float, rng: random.Random, seconds: float
) -> None:
    deadline = time.monotonic() + seconds
    while pause_seconds:
        await asyncio.sleep(rng.expovariate(1 / pause_seconds))
        if time.monotonic() > deadline:
            return
        await hurt(rng)


async def _lag(seconds: float) -> float:
    """How late this process was at worst: a machine that has no time proves nothing."""
    worst, deadline = 0.0, time.monotonic() + seconds
    while (now := time.monotonic()) < deadline:
        await asyncio.sleep(LOOK_SECONDS)
        worst = max(worst, time.monotonic() - now - LOOK_SECONDS)
    return worst


async def _finals(settings: Settings, doors: Doors, ids: list[str]) -> dict[str, Final]:
    """Ended jobs in bulk from their shelves; every other one is asked for, as a user would."""
    finals: dict[str, Final] = {}
    async with redis.asyncio.Redis.from_url(settings.redis_url) as client:
        prefix = Keys(settings.namespace).prefix
        for shelf in ("done", "kept"):
            async for key in client.scan_iter(match=f"{prefix}{shelf}:*", count=1_000):
                for job_id, record in (await client.hgetall(key)).items():
                    job = decode(record)
                    result = int(job.result) if job.result else None
                    finals[format_id(job_id)] = Final(str(job.ended), job.fence, result, job.crashes)
    for job_id in ids:
        if job_id not in finals:
            with contextlib.suppress(JobNotFound):
                view = await doors.inspection.get(parse_id(job_id))
                finals[job_id] = Final(str(view.state), view.job.fence, None, view.job.crashes)
    return finals


def _server_recovery(events: list[Event]) -> dict[str, float]:
    """The longest time from a healed server to the next job that ended, by fault."""
    longest: dict[str, float] = {}
    waiting: dict[str, float] = {}
    for event in events:
        if event.what == "fault" and event.pid == 0:
            waiting[event.name] = event.at
        elif event.what == "end":
            for name, at in waiting.items():
                longest[name] = max(longest.get(name, 0.0), event.at - at)
            waiting.clear()
    return longest
