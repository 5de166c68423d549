"""What a run submits, and its plan."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from ironforge.errors import StoreUnavailable
from ironforge.handlers.forge import Forge
from ironforge.job.record import format_id, new_id
from ironforge.settings import Settings
from ironforge.store import StoreClient
from ironforge.verify.flow_load import FlowLoad
from ironforge.verify.handlers import KILLER, KIND, MAX_RETRIES, Payload
from ironforge.verify.ledger import Event, Ledger
from ironforge.verify.misbehaviour import MISBEHAVIOUR
from ironforge.verify.nodes import FAULTS
from ironforge.verify.schedules.load import ScheduleLoad
from ironforge.verify.submitter import cancel, fairness
from ironforge.verify.workflows.load import WorkflowLoad

# Of the rate, after the time of the plan: what a slow machine had not done by then would be ever more.
LONGER: Final = 0.1
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
    their node in every run. `schedules`, `workflows`: some as well.
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
    workflows: bool = True

    @property
    def older_nodes(self) -> int:
        """Those whose application does not know every kind; not all."""
        return int(self.nodes > 1)


class Load:
    """Submits for the time of the plan: quick, slow, failing, misbehaving and delayed jobs, and some of them twice with
    one key; cancels some of the delayed. Of all sorts some belong to tenants, and so wait for their turn. `flow`: the
    load beside them, as are `schedules` and `workflows`."""

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
        self.workflows = WorkflowLoad(random.Random(plan.seed), store_client, ledger)

    async def begin(self) -> None:
        """A few jobs of every sort before there are nodes: those that come later have to find them."""
        await self.flow.begin()
        if self._plan.schedules:
            await self.schedules.begin()
        if self._plan.workflows:
            await self.workflows.begin()
        await self._submit(FIRST_JOBS)
        await self._submit_twice()

    async def run(self, longer: Callable[[], bool] = lambda: False) -> None:
        """For the time of the plan, and for as long after that as it is to go on `longer`, a few of all."""
        start = time.monotonic()

        def goes_on() -> bool:
            return time.monotonic() - start < self._plan.seconds or longer()

        more = [self.schedules.run(goes_on)] if self._plan.schedules else []
        more += [self.workflows.run(goes_on)] if self._plan.workflows else []
        await asyncio.gather(self._run(start, goes_on), self.flow.run(goes_on), *more)

    async def _run(self, start: float, goes_on: Callable[[], bool]) -> None:
        already = len(self.ids)
        killers = self._plan.killers
        while goes_on():
            elapsed = time.monotonic() - start
            if killers and elapsed > self._plan.seconds / 4:  # among neighbours
                await self._submit([{}] * killers, kind=KILLER)
                killers = 0
            seconds = min(elapsed, self._plan.seconds) + max(0.0, elapsed - self._plan.seconds) * LONGER
            behind = already + int(seconds * self._plan.rate) - len(self.ids)
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

    async def all_jobs(self, events: Sequence[Event]) -> list[str]:
        """That anybody tried to submit, or that ran. Of workflows, how they stand is looked at."""
        await self.workflows.look()
        return [*self.ids, *self.flow.ids, *self.schedules.jobs(events), *self.workflows.jobs(events)]
