"""Load for the promises about schedules: some of every policy, whose runs outlast the time to their next tick, and some
that are changed, paused, deleted and asked for out of turn all the time.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec

from ironforge.errors import StoreUnavailable
from ironforge.job.record import format_id
from ironforge.job.request import JobRequest
from ironforge.job.unique_option import Unique
from ironforge.schedules.definition import CatchUp, Schedule
from ironforge.schedules.errors import ScheduleNotFound
from ironforge.settings import Settings
from ironforge.store import StoreClient
from ironforge.store.schedules.claims import AGAIN_MS
from ironforge.store.schedules.stored import Position
from ironforge.verify.handlers import KIND, Payload
from ironforge.verify.ledger import Event, Ledger
from ironforge.verify.schedules.life import Life
from ironforge.verify.schedules.verdict import Schedules
from ironforge.verify.schedules.watch import LOOK_SECONDS, ScheduleWatch

TURN_SECONDS: Final = 0.2
ZONE: Final = "Europe/Berlin"
# Longer than a run is told to stop in.
REPLACED_SECONDS: Final = 3.0
# Less late than that is a tick on a machine that has much to do.
DUE_MS: Final = 3_000
# Whoever is told of a tick may be gone: some time after it others are told.
PATIENCE_SECONDS: Final = 3 * AGAIN_MS / 1000
BACKFILLED_FOR: Final = timedelta(seconds=5)
CHANGED, PAUSED, ANEW, TRIGGERED, SKIPPING, BACKFILLED = "changed", "paused", "anew", "triggered", "skip", "backfilled"

T = TypeVar("T")


def scheduled(seconds: float = 0.0, *, unique: Unique | None = None, **fields: Any) -> Schedule:
    """`seconds`: of its runs."""
    payload: Payload = {"seconds": seconds}
    job = JobRequest(kind=KIND, payload=msgspec.Raw(msgspec.json.encode(payload)), unique=unique)
    return Schedule(job=job, **{"overlap": "allow", **fields})


SCHEDULES: Final[Mapping[str, Schedule]] = {
    SKIPPING: scheduled(1.6, every_seconds=1.0, overlap="skip"),
    "queue_one": scheduled(1.4, every_seconds=1.0, overlap="queue_one"),
    "queue_all": scheduled(1.5, every_seconds=2.0, overlap="queue_all"),
    "cancel_running": scheduled(REPLACED_SECONDS, every_seconds=1.0, overlap="cancel_running"),
    BACKFILLED: scheduled(1.5, every_seconds=1.0),
    "late.latest": scheduled(every_seconds=1.0, catch_up=CatchUp("latest")),
    "late.all": scheduled(every_seconds=1.0, catch_up=CatchUp("all", most=5)),
    "late.none": scheduled(every_seconds=1.0, catch_up=CatchUp("none")),
    "jitter": scheduled(every_seconds=3.0, jitter_seconds=2.5),
    "jitter.often": scheduled(every_seconds=1.0, jitter_seconds=1.5),
    "cron": scheduled(cron=("*/2 * * * * *", "1 * * * * *"), timezone="Asia/Kathmandu"),
    # By the clock on the wall, which matters where that is put forward or back in the middle of a run.
    "wall.both": scheduled(cron=("*/2 * 0-22 * * *",), timezone=ZONE, fold="both"),
    "wall.last": scheduled(cron=("*/2 * 0-22 * * *",), timezone=ZONE, fold="last", gap="skip"),
    "wall.hour": scheduled(cron=("*/2 * 2 * * *",), timezone=ZONE),
    "unique": scheduled(1.5, unique=Unique("one"), every_seconds=1.0),
    "rejected": scheduled(1.5, unique=Unique("two", on_conflict="reject"), every_seconds=1.0),
    PAUSED: scheduled(every_seconds=1.0),
    ANEW: scheduled(every_seconds=1.0),
    TRIGGERED: scheduled(cron=("0 0 29 2 *",)),
    CHANGED: scheduled(every_seconds=1.0),
}
CHANGES: Final = (
    scheduled(every_seconds=1.0),
    scheduled(0.1, every_seconds=1.0),
    scheduled(every_seconds=2.0, jitter_seconds=1.0),
    scheduled(cron=("* * * * * *",), exclude=("*/3 * * * * *",)),
)


class ScheduleLoad:
    def __init__(self, rng: random.Random, settings: Settings, store_client: StoreClient, ledger: Ledger) -> None:
        self._rng = rng
        self._schedules = store_client.schedules
        self._watch = ScheduleWatch(settings, list(SCHEDULES), ledger)
        self._turns: list[Callable[[], Awaitable[None]]] = []
        self._overdue: list[str] = []

    @property
    def found(self) -> Schedules:
        watch = self._watch
        return Schedules(watch.lives, watch.out_of_turn, watch.unsure, watch.refused, self._overdue)

    def jobs(self, events: Iterable[Event]) -> list[str]:
        """All that schedules started, as far as it is known."""
        ran = {event.job for event in events if event.what == "start" and event.name}
        known = {seen.job for life in self._watch.lives for seen in life.starts if seen.past.job_id}
        return sorted(ran | known | self._watch.out_of_turn)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        async with self._watch.watching():
            yield

    async def begin(self) -> None:
        """Some before there is anything that fires them."""
        for name, schedule in SCHEDULES.items():
            await self._put(name, schedule)

    async def run(self, goes_on: Callable[[], bool]) -> None:
        """Changes one after the other. Each change is looked at before there is another one."""
        sorts = (self._change, self._pause, self._delete, self._trigger, self._backfill)
        while goes_on():
            self._turns = self._turns or self._rng.sample(sorts, len(sorts))
            await self._turns.pop()()
            await self._watch.look()
            await asyncio.sleep(TURN_SECONDS)

    async def finish(self, patience_seconds: float) -> None:
        """When nothing is due any more, or nothing will fire it: then no schedule is left."""
        await self.caught_up(max(patience_seconds, PATIENCE_SECONDS))
        for name in SCHEDULES:
            await self._gone(name)
        await self._watch.look()

    async def caught_up(self, patience_seconds: float) -> bool:
        """Whether nothing is due any more; or one that is due has stayed where it is for so long. So a slow machine has
        the time that it needs, and what nothing fires is not waited for."""
        since: dict[str, tuple[Position | None, float]] = {}
        while True:
            now = time.monotonic()
            due = {life.name: life.next for life in await self._watch.look() if _is_due(life)}
            stayed = {name: since[name][1] if since.get(name, ())[:1] == (at,) else now for name, at in due.items()}
            since = {name: (at, stayed[name]) for name, at in due.items()}
            self._overdue = [name for name, at in stayed.items() if now - at > patience_seconds]
            if self._overdue or not due:
                return not due
            await asyncio.sleep(LOOK_SECONDS)

    async def _put(self, name: str, schedule: Schedule) -> None:
        await _until_answered(lambda: self._schedules.put(name, schedule))

    async def _change(self) -> None:
        await self._put(CHANGED, self._rng.choice(CHANGES))

    async def _pause(self) -> None:
        """Or let it go on."""
        view = await _until_answered(lambda: self._schedules.get(PAUSED))
        if view.stored is not None and view.stored.pause is not None:
            await _until_answered(lambda: self._schedules.resume(PAUSED))
        else:
            await _until_answered(lambda: self._schedules.pause(PAUSED))

    async def _delete(self) -> None:
        await self._gone(ANEW)
        await self._watch.look()
        await self._put(ANEW, SCHEDULES[ANEW])

    async def _gone(self, name: str) -> None:
        """What came before that is known up to a moment before."""
        await self._watch.look()
        try:
            await _until_answered(lambda: self._schedules.delete(name))
        except ScheduleNotFound:  # the answer to an earlier attempt was lost
            return

    async def _trigger(self) -> None:
        name = self._rng.choice((TRIGGERED, SKIPPING))
        try:
            fired = await self._schedules.trigger(name)
        except StoreUnavailable:
            self._watch.unsure.add(name)
            self._watch.refused[name] = self._watch.refused.get(name, 0) + 1
            return
        if fired.outcome == "skipped":
            self._watch.refused[name] = self._watch.refused.get(name, 0) + 1
        elif fired.job_id is not None:
            self._watch.out_of_turn.add(format_id(fired.job_id))

    async def _backfill(self) -> None:
        end = datetime.now(UTC)
        try:
            started = await self._schedules.backfill(BACKFILLED, end - BACKFILLED_FOR, end, per_second=5.0)
        except StoreUnavailable:
            self._watch.unsure.add(BACKFILLED)
        else:
            self._watch.out_of_turn.update(format_id(job_id) for _, job_id in started)


def _is_due(life: Life) -> bool:
    return life.next is None or (life.next.at_ms is not None and life.next.fires_ms < life.look.now_ms - DUE_MS)


async def _until_answered(ask: Callable[[], Awaitable[T]]) -> T:
    """Each of these may be repeated."""
    while True:
        try:
            return await ask()
        except StoreUnavailable:
            await asyncio.sleep(LOOK_SECONDS)
