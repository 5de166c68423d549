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
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from ironforge.errors import JobNotFound, StoreUnavailable
from ironforge.handlers.forge import Forge
from ironforge.job.record import format_id, new_id, parse_id
from ironforge.process.background import in_background
from ironforge.redis.connection import Connection, all_keys
from ironforge.redis.keys import Keys
from ironforge.redis.shards import shards_of
from ironforge.settings import Settings
from ironforge.store import StoreClient
from ironforge.verify.account import Ended
from ironforge.verify.flow_load import FlowLoad
from ironforge.verify.handlers import KILLER, KIND, MAX_RETRIES, OLDER, Payload
from ironforge.verify.ledger import Ledger, read
from ironforge.verify.leftovers import leftovers
from ironforge.verify.line_watch import watching_lines
from ironforge.verify.misbehaviour import MISBEHAVIOUR
from ironforge.verify.nodes import COMMAND, FAULTS, Nodes
from ironforge.verify.observer import observing
from ironforge.verify.schedules.load import ScheduleLoad
from ironforge.verify.submitter import cancel, fairness
from ironforge.verify.suspicion import CRASH_BUDGET
from ironforge.verify.verdict import Verdict, judge
from ironforge.verify.waiting import drained, joined

READERS: Final = 16
RETENTION_SECONDS: Final = 7 * 86_400.0
Say = Callable[[str], None]

MISBEHAVING: Final[Sequence[Payload]] = [{"failures": 1, "how": how} for how in MISBEHAVIOUR]
FIRST_JOBS: Final[Sequence[Payload]] = (
    *({} for _ in range(5)),
    {"seconds": 0.3},
    {"failures": 1},
    {"failures": MAX_RETRIES + 1},
    *MISBEHAVING,
)


class Plan(NamedTuple):
    """`rate`: jobs submitted a second. `pause_seconds`: the mean time between two faults; 0: no faults at all.

    `slow`: the share of jobs that take time; `failing`: the share of those that fail at first. `drain_seconds`: how
    long to wait, after the last fault and whenever something has ended, for the next to end. `killers`: jobs that kill
    their node in every run. `schedules`: some as well.
    """

    seed: int
    seconds: float = 30.0
    rate: int = 500
    nodes: int = 3
    pause_seconds: float = 2.0
    faults: Sequence[str] = FAULTS
    slow: float = 0.1
    failing: float = 0.2
    drain_seconds: float = 60.0
    killers: int = 0
    schedules: bool = True

    @property
    def older_nodes(self) -> int:
        """Those whose application does not know every kind; not all."""
        return int(self.nodes > 1)


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
            ledger = Ledger(Path(folder) / "run.ledger")
            stack.callback(ledger.close)
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
            finals = await _finals(store_client, load.ids + load.flow.ids + load.schedules.jobs(events))
            completed = (await store_client.inspector.stats()).totals.get("completed", 0)
            left = await leftovers(settings)
        return judge(
            events,
            finals,
            completed,
            lease_seconds=settings.lease_seconds,
            leftovers=left,
            torn=torn,
            strays=strays,
            schedules=load.schedules.found,
        )


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


class Load:
    """Submits for the time of the plan: quick, slow, failing, misbehaving and delayed jobs, and some of them twice with
    one key; cancels some of the delayed. Of all sorts some belong to tenants, and so wait for their turn. `flow`: the
    load beside them, and `schedules`."""

    def __init__(
        self,
        plan: Plan,
        rng: random.Random,
        forge: Forge,
        store_client: StoreClient,
        ledger: Ledger,
        *,
        settings: Settings,
    ) -> None:
        self._plan = plan
        self._rng = rng
        self._forge = forge
        self._store_client = store_client
        self._ledger = ledger
        self.ids: list[str] = []
        self.flow = FlowLoad(random.Random(plan.seed), forge, store_client, ledger)
        self.schedules = ScheduleLoad(random.Random(plan.seed), settings, store_client, ledger)

    async def begin(self) -> None:
        """A few jobs of every sort before there are nodes: those that come later have to find them."""
        await self.flow.begin()
        if self._plan.schedules:
            await self.schedules.begin()
        await self._submit(FIRST_JOBS)
        await self._submit_twice()

    async def run(self) -> None:
        seconds = self._plan.seconds
        schedules = [self.schedules.run(seconds)] if self._plan.schedules else []
        await asyncio.gather(self._run(), self.flow.run(seconds), *schedules)

    async def _run(self) -> None:
        start = time.monotonic()
        already = len(self.ids)
        killers = self._plan.killers
        while (elapsed := time.monotonic() - start) < self._plan.seconds:
            if killers and elapsed > self._plan.seconds / 4:  # among neighbours
                await self._submit([{}] * killers, kind=KILLER)
                killers = 0
            behind = already + int(elapsed * self._plan.rate) - len(self.ids)
            if behind > 0:
                await (self._submit_twice() if self._rng.random() < 0.05 else self._submit_some(min(behind, 500)))
            await asyncio.sleep(0.02)

    async def _submit_some(self, count: int) -> None:
        delay_seconds = self._rng.uniform(0.5, 3.0) if self._rng.random() < 0.1 else None
        ids = await self._submit([self._payload() for _ in range(count)], delay_seconds)
        if ids and delay_seconds is not None:
            await cancel(self._store_client, self._ledger, self._rng.choice(ids))

    async def _submit(
        self, payloads: Sequence[Payload], delay_seconds: float | None = None, kind: str = KIND
    ) -> list[str]:
        """The ids of the jobs, none when the answer was lost."""
        ids = [format_id(new_id()) for _ in payloads]
        batch = [
            self._forge.prepare(kind, payload, id=job, delay_seconds=delay_seconds, **fairness(self._rng))
            for job, payload in zip(ids, payloads, strict=True)
        ]
        self.ids += ids
        # The server counts the delay from a later moment, so a start before this one is early by any clock.
        due = 0.0 if delay_seconds is None else time.monotonic() + delay_seconds
        try:
            await self._forge.submit_many(kind, batch)
        except StoreUnavailable:
            self._ledger.note("submit_info", ids, due=due)
            return []
        self._ledger.note("submit_ok", ids, due=due)
        return ids

    async def _submit_twice(self) -> None:
        """With one idempotency key: the second answer has to be the first one, and its own id never a job."""
        ids = [format_id(new_id()) for _ in range(2)]
        self.ids += ids
        payload, tenant = self._payload(), fairness(self._rng)
        for job in ids:
            submission = self._forge.prepare(KIND, payload, id=job, idempotency_key=ids[0], **tenant)
            try:
                [accepted] = await self._store_client.producer.submit([submission])
            except StoreUnavailable:
                self._ledger.note("submit_info", [job], name=ids[0])
                continue
            self._ledger.note("submit_ok", [format_id(accepted.id)], name=ids[0])

    def _payload(self) -> Payload:
        rng = self._rng
        if rng.random() < self._plan.slow:  # there has to be something in flight when a fault comes, failures as well
            return {"seconds": rng.uniform(0.05, 0.5), "failures": int(rng.random() < self._plan.failing)}
        roll = rng.random()
        if roll < 0.02:
            return {"failures": rng.randint(1, 2)}
        if roll < 0.03:
            return rng.choice(MISBEHAVING)
        return {"failures": MAX_RETRIES + 1} if roll < 0.035 else {}


async def _finals(store_client: StoreClient, ids: Sequence[str]) -> dict[str, Ended]:
    finals: dict[str, Ended] = {}
    waiting = list(ids)

    async def reader() -> None:
        while waiting:
            job = waiting.pop()
            try:
                view = await store_client.inspector.get(parse_id(job))
            except JobNotFound:
                continue
            result = int(view.job.result) if view.job.result else None
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
            async with Connection(settings.redis_url, keys.prefix) as connection:
                async for key in all_keys(connection, keys.prefix):
                    await connection.call("UNLINK", key)
