"""One run: load, faults, healing, drain, a look at every job, the verdict.

Everything random comes from one seed: what is submitted, and when which node is hurt how. The order in which
processes really run is theirs, so a seed repeats the schedule and not the interleaving.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from ironforge.errors import JobNotFound
from ironforge.handlers.forge import Forge
from ironforge.job.record import new_id, parse_id
from ironforge.process.background import in_background
from ironforge.redis.connection import DoorConnection, all_keys
from ironforge.redis.keys import Keys
from ironforge.redis.shards import shards_of
from ironforge.settings import Settings
from ironforge.store import StoreClient
from ironforge.verify.account import Ended, fence_of
from ironforge.verify.findings import Verdict
from ironforge.verify.handlers import OLDER
from ironforge.verify.ledger import Ledger, read
from ironforge.verify.leftovers import leftovers
from ironforge.verify.limits.watch import watching_lines
from ironforge.verify.load import Load, Plan
from ironforge.verify.nodes import COMMAND, Nodes
from ironforge.verify.observer import observing
from ironforge.verify.pace import watching_the_pace
from ironforge.verify.suspicion import CRASH_BUDGET
from ironforge.verify.verdict import judge
from ironforge.verify.waiting import answered, drained, joined
from ironforge.verify.wall_clock import watching_the_wall_clock

READERS: Final = 16
RETENTION_SECONDS: Final = 7 * 86_400.0
Say = Callable[[str], None]


async def verify(settings: Settings, plan: Plan, *, say: Say, command: Sequence[str] = COMMAND) -> Verdict:
    """Run the plan in a namespace of its own on `settings.redis_url`, which is empty again afterwards.

    Raises StoreUnavailable when the server goes away for good, and in the end what ended something that goes on beside.
    """
    rng = random.Random(plan.seed)
    settings = _in_a_namespace_of_its_own(settings)
    with tempfile.TemporaryDirectory(prefix="ironforge-verify-") as folder:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(_emptied_afterwards(settings))
            forge = await stack.enter_async_context(Forge(settings))
            store_client = StoreClient(settings)
            stack.push_async_callback(store_client.close)
            ledger = await stack.enter_async_context(_ledger(Path(folder)))
            nodes = Nodes(settings, Path(folder), ledger, command)
            stack.push_async_callback(nodes.stop)
            await stack.enter_async_context(in_background(nodes.keep(), "nodes are kept"))
            torn = await stack.enter_async_context(observing(store_client))
            strays = await stack.enter_async_context(watching_lines(settings, ledger))
            load = Load(plan, random.Random(rng.random()), forge, store_client, ledger, settings=settings)
            await stack.enter_async_context(load.schedules.watched())
            await load.begin()
            await stack.enter_async_context(in_background(load.flow.operate(), "operator"))
            await _have_joined(nodes, plan, store_client)
            await _under_load(plan, rng, load, nodes, say)
            say("no more faults; waiting until everything has ended")
            await load.schedules.finish(plan.drain_seconds)
            await drained(store_client, settings, nodes, plan.drain_seconds)
            await nodes.stop()
            events = read(Path(folder))
            finals, completed, left = await _in_the_end(settings, store_client, await load.all_jobs(events))
        return judge(
            events,
            finals,
            completed,
            lease_seconds=settings.lease_seconds,
            leftovers=left,
            torn=torn,
            strays=strays,
            schedules=load.schedules.found,
            workflows=load.workflows.seen,
        )


@asynccontextmanager
async def _ledger(folder: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger(folder / "run.ledger")
    try:
        async with watching_the_wall_clock(ledger), watching_the_pace(ledger):
            yield ledger
    finally:
        ledger.close()


async def _have_joined(nodes: Nodes, plan: Plan, store_client: StoreClient) -> None:
    nodes.start(plan.nodes - plan.older_nodes)
    nodes.start(plan.older_nodes, OLDER)
    await joined(store_client, plan.nodes)


def _in_a_namespace_of_its_own(settings: Settings) -> Settings:
    return msgspec.structs.replace(
        settings,
        namespace=f"verify-{new_id().hex()}",
        namespaces=(),
        retention_seconds=RETENTION_SECONDS,
        queues=("default",),
        crash_budget=CRASH_BUDGET,
    )


async def _under_load(plan: Plan, rng: random.Random, load: Load, nodes: Nodes, say: Say) -> None:
    submitting = asyncio.create_task(load.run())
    deadline = time.monotonic() + plan.seconds
    try:
        while plan.pause_seconds and time.monotonic() < deadline:
            await asyncio.sleep(min(rng.expovariate(1 / plan.pause_seconds), max(0.0, deadline - time.monotonic())))
            if load.ids and time.monotonic() < deadline:
                await nodes.hurt(rng, plan.faults)
                say(f"{len(load.ids)} submissions")
        await submitting
    finally:
        submitting.cancel()


async def _in_the_end(
    settings: Settings, store_client: StoreClient, ids: Sequence[str]
) -> tuple[dict[str, Ended], int, list[str]]:
    """What became of the jobs, how many settlements as completed were counted, and what is left behind."""
    finals = await _finals(store_client, ids)
    stats = await answered(store_client.inspector.stats)
    return finals, stats.totals.get("completed", 0), await answered(lambda: leftovers(settings))


async def _finals(store_client: StoreClient, ids: Sequence[str]) -> dict[str, Ended]:
    finals: dict[str, Ended] = {}
    waiting = list(ids)

    async def reader() -> None:
        while waiting:
            job = waiting.pop()
            try:
                view = await answered(partial(store_client.inspector.get, parse_id(job)))
            except JobNotFound:
                continue
            result = fence_of(view.job.result)
            finals[job] = Ended(str(view.state), view.job.fence, result, view.job.crashes, view.job.reason)

    await asyncio.gather(*(reader() for _ in range(READERS)))
    return finals


@asynccontextmanager
async def _emptied_afterwards(settings: Settings) -> AsyncIterator[None]:
    """Leaves no key of the run's namespace behind, and touches no other."""
    try:
        yield
    finally:
        for keys in (Keys(settings.namespace), *shards_of(settings)):
            await answered(partial(_emptied, settings, keys))


async def _emptied(settings: Settings, keys: Keys) -> None:
    async with DoorConnection(settings.redis_url, keys.prefix) as connection:
        async for key in all_keys(connection, keys.prefix):
            await connection.call("UNLINK", key)
