"""One run: a private server and nodes, load, faults in every lane, healing, drain, a look at every job, the verdict.

Load, node faults and judgement are those of `ironforge verify`; what is added is a server, links, clocks and clients
that may be hurt as well, and the ledger of a run that broke a promise is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec
import redis.asyncio

from ironforge.errors import JobNotFound
from ironforge.job.record import parse_id
from ironforge.process.background import in_background
from ironforge.redis.keys import Keys
from ironforge.settings import Settings
from ironforge.store import StoreClient
from ironforge.verify.account import Ended
from ironforge.verify.findings import Verdict, Violation
from ironforge.verify.flow_verdict import EXPIRES, RATE
from ironforge.verify.ledger import Event
from ironforge.verify.leftovers import leftovers
from ironforge.verify.limits.watch import watching_lines
from ironforge.verify.load import Load, Plan
from ironforge.verify.pace import watching_the_pace
from ironforge.verify.steps.verdict import HEARD, IN_TIME, SLEPT
from ironforge.verify.verdict import EARLY, GOES_ON, judge
from ironforge.verify.waiting import answered, unfinished_jobs, until_none
from ironforge.verify.wall_clock import watching_the_wall_clock
from tests.system.chaos.answers import ended, ended_nodes, forget, forgotten, recovery, uncounted
from tests.system.chaos.installation import (
    LEASE_SECONDS,
    LOOK_SECONDS,
    Fault,
    Installation,
    everybody_there,
    heal,
    installed,
)
from tests.system.chaos.lanes import clients, clock, deploy, network, nodes, server, ticking
from tests.system.chaos.scenarios import SCENARIOS, Scenario

# For the next job to end, or fewer of them to be left.
DRAIN_SECONDS = 60.0
# For schedules to catch up where nothing keeps them from it.
PUT_OFF_SECONDS = 10.0
KEPT = Path(".ironforge/chaos")


class Lane(NamedTuple):
    """Faults of which one happens at a time. `alone`: it stops the server, and no other lane may meanwhile."""

    faults: Mapping[str, Fault]
    alone: bool = False


LANES = {
    "node_pause_seconds": Lane(nodes.FAULTS),
    "server_pause_seconds": Lane(server.FAULTS, alone=True),
    "network_pause_seconds": Lane(network.FAULTS),
    "storage_pause_seconds": Lane(server.STORAGE_FAULTS, alone=True),
    "clock_pause_seconds": Lane(clock.FAULTS),
    "client_pause_seconds": Lane(clients.FAULTS),
    "loop_pause_seconds": Lane(nodes.LOOP_FAULTS),
    "guilty_pause_seconds": Lane(nodes.GUILTY),
    "deploy_pause_seconds": Lane(deploy.FAULTS),
    "ticking_pause_seconds": Lane(ticking.FAULTS),
    "change_pause_seconds": Lane(ticking.CHANGES, alone=True),
}


class Outcome(msgspec.Struct):
    """`recovery_seconds` by fault. `discarded`: this process itself was late by more than a third of a lease, so the
    machine failed, not we."""

    scenario: str
    seed: int
    verdict: Verdict
    drain_seconds: float
    recovery_seconds: dict[str, float]
    lag_seconds: float
    discarded: bool
    seconds: float


class Found(NamedTuple):
    verdict: Verdict
    drain_seconds: float
    recovery_seconds: dict[str, float]
    lag_seconds: float


async def run(name: str, plan: Plan, *, kept: Path = KEPT) -> Outcome:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ironforge-chaos-") as base:
        folder = Path(base)
        scenario = SCENARIOS[name]
        async with installed(scenario, plan.nodes, plan.seed, folder) as here:
            with _hogs(scenario.hogs_per_core):
                found = await _run(here, scenario, plan, folder)
        discarded = found.lag_seconds > LEASE_SECONDS / 3 and not scenario.hogs_per_core
        outcome = Outcome(name, plan.seed, *found, discarded, seconds=time.monotonic() - began)
        if outcome.verdict.violations:
            place = kept / f"{name}-{plan.seed}"
            shutil.copytree(folder, place, dirs_exist_ok=True)
            (place / "outcome.json").write_bytes(msgspec.json.encode(outcome))
    return outcome


async def under_load(here: Installation, plan: Plan, folder: Path, *lanes: Awaitable[None]) -> Found:
    """`lanes` run while jobs are submitted; then everything is healed, drained, looked at and judged."""
    load = Load(plan, random.Random(plan.seed), here.forge, here.store_client, here.ledger, settings=here.settings)
    lag = asyncio.create_task(_lag(plan.seconds))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(watching_the_wall_clock(here.ledger))
        await stack.enter_async_context(watching_the_pace(here.ledger))
        await stack.enter_async_context(load.schedules.watched())
        await load.begin()
        for site in here.sites:
            await stack.enter_async_context(in_background(site.nodes.keep(), "nodes are kept"))
        await stack.enter_async_context(in_background(load.flow.operate(), "operator"))
        strays = await stack.enter_async_context(watching_lines(here.settings, here.ledger))
        hurting = asyncio.gather(*lanes)
        # What a fault is to meet is submitted until the last of them is over.
        await asyncio.gather(load.run(lambda: not hurting.done()), hurting)
        await heal(here)
        here.ledger.note("heal")
        if here.server.moving_clock and not await load.schedules.caught_up(PUT_OFF_SECONDS):
            # What fires ticks had been told of some by a clock that was wrong, and died: others are told by that clock.
            await here.inflict("time-passes", clock.let_time_pass, random.Random())
        await load.schedules.finish(DRAIN_SECONDS)
        drain_seconds = await _drained(here)
        violations = [] if await everybody_there(here) else [_absent()]
    for site in here.sites:
        await site.nodes.stop()
    verdict, events = await _judged(here, load, folder, strays)
    verdict = msgspec.structs.replace(verdict, violations=violations + verdict.violations)
    return Found(verdict, drain_seconds, recovery(events), await lag)


async def _judged(here: Installation, load: Load, folder: Path, strays: list[str]) -> tuple[Verdict, list[Event]]:
    events = here.events(folder)
    ids = here.ids + await load.all_jobs(events)
    finals = await _finals(here.settings, here.sight, ids)
    completed = (await answered(here.sight.inspector.stats)).totals.get("completed", 0)
    left = await answered(lambda: leftovers(here.settings))
    finals |= forgotten(events, finals)
    finals = ended_nodes(events, load.workflows.seen) | finals
    forget(events, load.workflows.seen)
    verdict = judge(
        events,
        finals,
        completed,
        lease_seconds=LEASE_SECONDS,
        leftovers=left,
        strays=strays,
        schedules=load.schedules.found,
        workflows=load.workflows.seen,
    )
    violations = verdict.violations + uncounted(finals, completed)
    if here.server.moving_clock:
        # Due by a clock that was wrong is early, or late, by the true one, and so is what expires by it, sleeps, or
        # waits for some time; and more may start where time has leapt.
        by_clock = EARLY, RATE, EXPIRES, SLEPT, HEARD, IN_TIME
        violations = [violation for violation in violations if violation.promise not in by_clock]
    return msgspec.structs.replace(verdict, violations=violations), events


async def _run(here: Installation, scenario: Scenario, plan: Plan, folder: Path) -> Found:
    rng = random.Random(plan.seed)
    lanes = []
    for name, lane in LANES.items():
        own = random.Random(rng.random())
        if (pause_seconds := getattr(scenario, name)) and lane.faults:
            lanes.append(_in_lane(here, lane, pause_seconds, own, plan.seconds))
    return await under_load(here, plan, folder, *lanes)


@contextlib.contextmanager
def _hogs(per_core: float) -> Iterator[None]:
    count = round(per_core * (os.cpu_count() or 1))
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def _absent() -> Violation:
    return Violation(GOES_ON, "", "in the end not every node has a lease, or somebody else has", [])


async def _drained(here: Installation) -> float:
    """How long until nothing is queued, running or scheduled, or nothing ends any more: then the run fails by what it
    left."""
    healed = time.monotonic()
    if here.server.moving_clock:
        await until_none(lambda: unfinished_jobs(here.sight, scheduled=False), DRAIN_SECONDS)
        # What was put off while the clock was wrong is due by that clock: its time comes, as it would for a user.
        await here.inflict("time-passes", clock.let_time_pass, random.Random())
    await until_none(lambda: unfinished_jobs(here.sight), DRAIN_SECONDS)
    return time.monotonic() - healed


async def _in_lane(here: Installation, lane: Lane, pause_seconds: float, rng: random.Random, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        await asyncio.sleep(rng.expovariate(1 / pause_seconds))
        if time.monotonic() > deadline:
            return
        name = rng.choice(list(lane.faults))
        async with here.whole if lane.alone else contextlib.nullcontext():
            await here.inflict(name, lane.faults[name], rng)


async def _lag(seconds: float) -> float:
    """How late this process was at worst: a machine that has no time proves nothing."""
    worst, deadline = 0.0, time.monotonic() + seconds
    while (now := time.monotonic()) < deadline:
        await asyncio.sleep(LOOK_SECONDS)
        worst = max(worst, time.monotonic() - now - LOOK_SECONDS)
    return worst


async def _finals(settings: Settings, store_client: StoreClient, ids: list[str]) -> dict[str, Ended]:
    """Ended jobs in bulk from their shelves; every other one is asked for, as a user would."""
    finals: dict[str, Ended] = {}
    async with redis.asyncio.Redis.from_url(settings.redis_url) as client:
        prefix = Keys(settings.namespace).prefix
        for shelf in ("done", "kept"):
            async for key in client.scan_iter(match=f"{prefix}{shelf}:*", count=1_000):
                finals |= ended((await client.hgetall(key)).values())
    for job_id in ids:
        if job_id not in finals:
            with contextlib.suppress(JobNotFound):
                view = await store_client.inspector.get(parse_id(job_id))
                finals[job_id] = Ended(str(view.state), view.job.fence, None, view.job.crashes, view.job.reason)
    return finals
