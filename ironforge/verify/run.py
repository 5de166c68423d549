"""One run: load, faults, healing, drain, a look at every job, the verdict.

Everything random comes from one seed: what is submitted, and when which node is hurt how. The order in which
processes really run is theirs, so a seed repeats the schedule and not the interleaving.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from ironforge.config import Settings
from ironforge.errors import InvalidState, JobNotFound, StoreUnavailable
from ironforge.job import format_id, new_id, parse_id
from ironforge.registry import Forge
from ironforge.store import Doors
from ironforge.store.keys import shards_of
from ironforge.store.link import Link, all_keys
from ironforge.verify.handlers import KIND
from ironforge.verify.ledger import Ledger, read
from ironforge.verify.nodes import COMMAND, Nodes
from ironforge.verify.verdict import Final as FinalState
from ironforge.verify.verdict import Verdict, judge

JOIN_SECONDS: Final = 30.0
DRAIN_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.1
READERS: Final = 16
RETENTION_SECONDS: Final = 7 * 86_400.0

Say = Callable[[str], None]


class Plan(NamedTuple):
    """`rate`: jobs submitted a second. `pause_seconds`: the mean time between two faults; 0: no faults at all."""

    seed: int
    seconds: float = 30.0
    rate: int = 500
    nodes: int = 3
    pause_seconds: float = 2.0


async def verify(settings: Settings, plan: Plan, *, say: Say, command: Sequence[str] = COMMAND) -> Verdict:
    """Run the plan in a namespace of its own on `settings.redis_url`, which is empty again afterwards.

    Raises StoreUnavailable when the server goes away for good.
    """
    rng = random.Random(plan.seed)
    settings = msgspec.structs.replace(
        settings, namespace=f"verify-{new_id().hex()}", retention_seconds=RETENTION_SECONDS, queues=("default",)
    )
    with tempfile.TemporaryDirectory(prefix="ironforge-verify-") as folder:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(_emptied_afterwards(settings))
            forge = await stack.enter_async_context(Forge(settings))
            doors = Doors.open(settings)
            stack.push_async_callback(doors.close)
            ledger = Ledger(Path(folder) / "run.ledger")
            stack.callback(ledger.close)
            nodes = Nodes(settings, Path(folder), ledger, command)
            stack.push_async_callback(nodes.stop)
            nodes.start(plan.nodes)
            await _until(lambda: _joined(doors, plan.nodes), JOIN_SECONDS)
            load = Load(plan, random.Random(rng.random()), forge, doors, ledger)
            await _under_load(plan, rng, load, nodes, say)
            say("no more faults; waiting until everything has ended")
            await _until(lambda: _drained(doors), DRAIN_SECONDS)
            finals = await _finals(doors, load.ids)
            completed = (await doors.inspection.stats()).totals.get("completed", 0)
        return judge(read(Path(folder)), finals, completed)


async def _under_load(plan: Plan, rng: random.Random, load: Load, nodes: Nodes, say: Say) -> None:
    submitting = asyncio.create_task(load.run())
    deadline = time.monotonic() + plan.seconds
    try:
        while plan.pause_seconds and time.monotonic() < deadline:
            await asyncio.sleep(min(rng.expovariate(1 / plan.pause_seconds), max(0.0, deadline - time.monotonic())))
            if load.ids and time.monotonic() < deadline:
                await nodes.hurt(rng)
                say(f"{len(load.ids)} jobs submitted")
        await submitting
    finally:
        submitting.cancel()


class Load:
    """Submits for the time of the plan: quick, slow, failing and delayed jobs; and cancels some of the delayed."""

    def __init__(self, plan: Plan, rng: random.Random, forge: Forge, doors: Doors, ledger: Ledger) -> None:
        self._plan = plan
        self._rng = rng
        self._forge = forge
        self._doors = doors
        self._ledger = ledger
        self.ids: list[str] = []

    async def run(self) -> None:
        start = time.monotonic()
        while (elapsed := time.monotonic() - start) < self._plan.seconds:
            behind = int(elapsed * self._plan.rate) - len(self.ids)
            if behind > 0:
                await self._submit(min(behind, 500))
            await asyncio.sleep(0.02)

    async def _submit(self, count: int) -> None:
        rng = self._rng
        ids = [format_id(new_id()) for _ in range(count)]
        delay_seconds = rng.uniform(0.5, 3.0) if rng.random() < 0.1 else None
        batch = [self._forge.prepare(KIND, self._payload(), id=job, delay_seconds=delay_seconds) for job in ids]
        self.ids += ids
        try:
            await self._forge.submit_many(KIND, batch)
        except StoreUnavailable:
            self._ledger.note("submit_info", ids)
            return
        self._ledger.note("submit_ok", ids)
        if delay_seconds is not None:
            await self._cancel(rng.choice(ids))

    async def _cancel(self, job: str) -> None:
        try:
            state = await self._doors.submissions.cancel(parse_id(job))
        except (InvalidState, JobNotFound, StoreUnavailable):
            return
        self._ledger.note("cancel_ok", [job], name=str(state))

    def _payload(self) -> dict[str, float]:
        roll = self._rng.random()
        if roll < 0.1:  # there has to be something in flight when a fault comes
            return {"seconds": self._rng.uniform(0.05, 0.5)}
        return {"failures": self._rng.randint(1, 2)} if roll < 0.13 else {}


async def _until(reached: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Or until the time is over: what was not reached then shows in the verdict."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(StoreUnavailable):
            if await reached():
                return
        await asyncio.sleep(LOOK_SECONDS)


async def _joined(doors: Doors, count: int) -> bool:
    return len(await doors.inspection.nodes()) >= count


async def _drained(doors: Doors) -> bool:
    """Nothing is queued, running or scheduled."""
    stats = await doors.inspection.stats()
    return not stats.scheduled + sum(depth.queued + depth.running for depth in stats.streams)


async def _finals(doors: Doors, ids: Sequence[str]) -> dict[str, FinalState]:
    finals: dict[str, FinalState] = {}
    waiting = list(ids)

    async def reader() -> None:
        while waiting:
            job = waiting.pop()
            try:
                view = await doors.inspection.get(parse_id(job))
            except JobNotFound:
                continue
            result = int(view.job.result) if view.job.result else None
            finals[job] = FinalState(str(view.state), view.job.fence, result, view.job.crashes)

    await asyncio.gather(*(reader() for _ in range(READERS)))
    return finals


@asynccontextmanager
async def _emptied_afterwards(settings: Settings) -> AsyncIterator[None]:
    """Leaves no key of the run's namespace behind, and touches no other."""
    try:
        yield
    finally:
        for keys in shards_of(settings):
            link = Link(settings.redis_url, keys.prefix)
            async for key in all_keys(link, keys.prefix):
                await link.call("UNLINK", key)
            await link.close()
