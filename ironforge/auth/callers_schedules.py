"""The schedules of a namespace as one caller sees them: those whose jobs go to its queues, and what it may have them
submit, within its quotas."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from ironforge.auth.api_keys import key_of
from ironforge.auth.caller import Caller
from ironforge.auth.quota_enforcer import QuotaEnforcer
from ironforge.errors import Duplicate, Forbidden
from ironforge.schedules.definition import Schedule
from ironforge.schedules.errors import ScheduleNotFound
from ironforge.store.kind_catalog import KindCatalog
from ironforge.store.schedules.contract import (
    Applied,
    Fired,
    PastTick,
    Schedules,
    ScheduleView,
    no_such_schedule,
    queues_of,
)


class CallersSchedules:
    """Implements `contract.Schedules` for one caller. One whose jobs go elsewhere is not there for it."""

    def __init__(self, schedules: Schedules, caller: Caller, kinds: KindCatalog, quotas: QuotaEnforcer) -> None:
        self._schedules = schedules
        self._caller = caller
        self._kinds = kinds
        self._quotas = quotas

    async def put(
        self,
        name: str,
        schedule: Schedule,
        *,
        source: str = "",
        by: str = "",
        expected: str | None = None,
        most: int | None = None,
    ) -> ScheduleView:
        self._require(schedule)
        await self._require_name(name)
        most = self._quotas.most_schedules(self._caller) if most is None else most
        return await self._schedules.put(name, schedule, source=source, by=by, expected=expected, most=most)

    async def apply(
        self,
        source: str,
        schedules: Mapping[str, Schedule],
        *,
        by: str = "",
        most: int | None = None,
        dry_run: bool = False,
    ) -> Applied:
        self._caller.require("jobs:submit")
        if self._caller.queues is not None:
            for name, schedule in schedules.items():
                self._require(schedule)
                await self._require_name(name)
            for name in (await self._schedules.apply(source, schedules, dry_run=True)).deleted:
                await self._require_name(name)
        most = self._quotas.most_schedules(self._caller) if most is None else most
        return await self._schedules.apply(source, schedules, by=by, most=most, dry_run=dry_run)

    async def get(self, name: str) -> ScheduleView:
        view = await self._schedules.get(name)
        if not _sees(self._caller, self._kinds, view):
            raise no_such_schedule(name)
        return view

    async def names(self) -> list[str]:
        """Also of those that are not there for the caller: `views` leaves them out."""
        return await self._schedules.names()

    async def views(self, names: Sequence[str]) -> list[ScheduleView]:
        return [view for view in await self._schedules.views(names) if _sees(self._caller, self._kinds, view)]

    async def delete(self, name: str, *, expected: str | None = None) -> None:
        await self.get(name)
        await self._schedules.delete(name, expected=expected)

    async def history(self, name: str) -> list[PastTick]:
        await self.get(name)
        return await self._schedules.history(name)

    async def pause(self, name: str, note: str = "", *, by: str = "", until_ms: int = 0) -> ScheduleView:
        await self.get(name)
        return await self._schedules.pause(name, note, by=by, until_ms=until_ms)

    async def resume(self, name: str) -> ScheduleView:
        await self.get(name)
        return await self._schedules.resume(name)

    async def trigger(self, name: str) -> Fired:
        jobs, size = await self._size_of_run(name)
        async with self._quotas.started(self._caller, jobs, size):
            with _without_foreign_jobs(self._caller):
                return await self._schedules.trigger(name)

    async def backfill(
        self, name: str, start: datetime, end: datetime, *, per_second: float = 1.0, dry_run: bool = False
    ) -> list[tuple[int, bytes]]:
        jobs, size = await self._size_of_run(name)
        told = await self._schedules.backfill(name, start, end, per_second=per_second, dry_run=True)
        if dry_run or not told:
            return told
        async with self._quotas.started(self._caller, len(told) * jobs, size, (len(told) - 1) / per_second):
            with _without_foreign_jobs(self._caller):
                return await self._schedules.backfill(name, start, end, per_second=per_second)

    async def _size_of_run(self, name: str) -> tuple[int, int]:
        """How many jobs a tick submits, and bytes of payload of one, on average. Raises ScheduleNotFound, and Forbidden
        where the caller may not submit them."""
        view = await self.get(name)
        if view.stored is None:
            return 1, 0
        schedule = view.stored.schedule
        self._require(schedule)
        return schedule.jobs, -(-schedule.payload_bytes // schedule.jobs)

    def _require(self, schedule: Schedule) -> None:
        """Raises Forbidden where the caller may not submit what it starts, InvalidJob for a kind that is not known."""
        self._caller.require("jobs:submit")
        if self._caller.queues is not None:
            # No name of a kind is told to a caller that may not see all of them.
            for kind in schedule.kinds:
                self._kinds.look_up(kind, hints=False)
            for queue in queues_of(schedule, self._kinds.known):
                self._caller.require_queue(queue)

    async def _require_name(self, name: str) -> None:
        """Raises Forbidden for one that belongs to other queues."""
        if self._caller.queues is None:
            return
        with contextlib.suppress(ScheduleNotFound):
            if not _sees(self._caller, self._kinds, await self._schedules.get(name)):
                raise Forbidden(
                    f"there is a schedule {name} of a queue that this credential may not use",
                    code="queue_not_allowed",
                )


@contextlib.contextmanager
def _without_foreign_jobs(caller: Caller) -> Iterator[None]:
    """A job that holds a unique key may be of another queue: a caller of some queues is not told which one."""
    try:
        yield
    except Duplicate:
        if caller.queues is None:
            raise
        raise Duplicate("another job holds the unique key of its job", job_id="") from None


def _sees(caller: Caller, kinds: KindCatalog, view: ScheduleView) -> bool:
    if caller.queues is None:
        return True
    return view.stored is not None and caller.sees(queues_of(view.stored.schedule, kinds.known))


async def by_key(schedules: Schedules) -> Mapping[str, list[str]]:
    """The names of schedules, sorted, by the id of the key that each was put with last."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for view in await schedules.views(await schedules.names()):
        if view.stored is not None:
            found[key_of(view.stored.by)].append(view.name)
    return found
