"""What the doors ask of schedules.

A schedule moves from tick to tick by a script that submits the job of the tick too, only from where its caller saw it:
so each tick starts one job, or is skipped for a reason that its history says, whatever else happens meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple, Protocol

import msgspec

from ironforge.job.options import DEFAULT_QUEUE, JobOptions
from ironforge.schedules.definition import Schedule
from ironforge.schedules.errors import ScheduleConflict, ScheduleNotFound
from ironforge.store.kinds import Kind

# The source of those that handlers of nodes define.
CODE: Final = "code"
# Of ticks that one backfill may have.
MAX_BACKFILL: Final = 1_000

Outcome = Literal["started", "skipped"]


class Pause(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Since `since_ms`; `until_ms` (0: until it is resumed). `by`: who asked for it."""

    note: str = ""
    by: str = ""
    since_ms: int = 0
    until_ms: int = 0


class StoredSchedule(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """`source`: what defines it, such as a file or an application, `by`: who did. `created_ms`: of the first definition
    since it was last deleted. `gone`: it was in the code of nodes, and is in that of none now.

    One with fields that this version does not know cannot be read: to write it back would lose them.
    """

    schedule: Schedule
    source: str = ""
    by: str = ""
    created_ms: int = 0
    updated_ms: int = 0
    pause: Pause | None = None
    gone: bool = False

    def paused(self, now_ms: int) -> bool:
        return self.pause is not None and (self.pause.until_ms == 0 or self.pause.until_ms > now_ms)


class ScheduleView(NamedTuple):
    """`stored`: None when what is stored cannot be read here; it does not tick then. `problem`: why it starts no job:
    that it cannot be read, or what has refused its job since the last one started. `etag` changes with what is stored.
    `next_ms`: the time of its next tick, None: there is none; `last_job`: the one started last, or the workflow
    where `last_is_workflow`."""

    name: str
    stored: StoredSchedule | None
    etag: str
    next_ms: int | None
    last_job: bytes | None = None
    problem: str = ""
    last_is_workflow: bool = False


class Applied(NamedTuple):
    """Names, sorted, of what a source owns, or owned."""

    created: list[str]
    changed: list[str]
    unchanged: list[str]
    deleted: list[str]


class PastTick(NamedTuple):
    """What became of a tick, of `ticks` of them from `at_ms` to `last_ms` that were skipped for the same reason, or of
    a backfill. `reason`: empty of a start at a tick, else as `schedules.reasons` has it, or the code of what refused
    its job. Of more than 10,000 in a row `ticks` may count the first ones. `job_id`: the (last) job; of a workflow
    where `is_workflow`."""

    at_ms: int
    outcome: Outcome
    reason: str = ""
    late_ms: int = 0
    job_id: bytes | None = None
    last_ms: int = 0
    ticks: int = 1
    is_workflow: bool = False


class Fired(NamedTuple):
    """`reason`, `job_id` and `is_workflow` as in `PastTick`."""

    outcome: Outcome
    reason: str = ""
    job_id: bytes | None = None
    is_workflow: bool = False


class Schedules(Protocol):
    """Schedules of a namespace. Every method raises StoreUnavailable when the server cannot be used now, and those that
    change a schedule ScheduleConflict when others do so all the time."""

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
        """Says what holds from now on: nothing changes when that is what it says already. A pause stays.

        `most`: of the schedules that there may be, in each shard; None: as the settings say.
        `expected`: the etag that it must have, "" when there must be none of this name; None: whatever it is. Raises
        InvalidJob for a schedule that is not right, QuotaExceeded, ScheduleChanged when it is not as expected;
        ScheduleConflict for one of another source, and where the key of its job leads to another shard than before.
        """

    async def apply(
        self,
        source: str,
        schedules: Mapping[str, Schedule],
        *,
        by: str = "",
        most: int | None = None,
        dry_run: bool = False,
    ) -> Applied:
        """Has these, by name, and no others be the schedules of a source, which is not empty.

        Everything is looked at before anything is changed. Raises what `put` raises; the field of an InvalidJob begins
        with `schedules.<name>`. What changes meanwhile is left as it is, then ScheduleChanged is raised, and what was
        done before stays: the same call again does the rest.
        """

    async def get(self, name: str) -> ScheduleView:
        """Raises ScheduleNotFound."""

    async def names(self) -> list[str]:
        """Sorted."""

    async def views(self, names: Sequence[str]) -> list[ScheduleView]:
        """In this order, without those that are not there."""

    async def delete(self, name: str, *, expected: str | None = None) -> None:
        """With its history, whatever its source is; jobs that it started go on. Raises ScheduleNotFound,
        ScheduleChanged."""

    async def history(self, name: str) -> list[PastTick]:
        """The last ones, the latest first; at most 100 entries. Raises ScheduleNotFound."""

    async def pause(self, name: str, note: str = "", *, by: str = "", until_ms: int = 0) -> ScheduleView:
        """Its ticks are skipped until then, or until it is resumed. Raises ScheduleNotFound."""

    async def resume(self, name: str) -> ScheduleView:
        """Raises ScheduleNotFound."""

    async def trigger(self, name: str) -> Fired:
        """Starts its job now, as a tick would, also while it is paused. Raises ScheduleNotFound and what submitting the
        job raises."""

    async def backfill(
        self, name: str, start: datetime, end: datetime, *, per_second: float = 1.0, dry_run: bool = False
    ) -> list[tuple[int, bytes]]:
        """Starts its job for each of its times from `start` on and before `end`, so many in a second; whatever runs.

        Times in ms with the ids of their jobs. Raises ScheduleNotFound, InvalidJob for more than MAX_BACKFILL of them,
        and what submitting them raises.
        """


def readable(view: ScheduleView) -> StoredSchedule:
    """What it says. Raises ScheduleConflict where that cannot be read."""
    if view.stored is None:
        raise unreadable(view.problem)
    return view.stored


def unreadable(why: str) -> ScheduleConflict:
    return ScheduleConflict(why, hint="put it anew, or delete it")


class StartedJob(NamedTuple):
    """As `Schedule.starts` has it, with the queue that it goes to."""

    kind: str
    queue: str
    field: str


def jobs_of(schedule: Schedule, known: Callable[[str], Kind | None]) -> Iterator[StartedJob]:
    """Those of each kind and queue once; `known`: what nodes announced of a kind."""

    def queue_of(kind: str, options: JobOptions | None) -> str:
        said = None if options is None else options.queue
        announced = None if said else known(kind)
        return said or (announced.queue if announced else DEFAULT_QUEUE)

    made = [StartedJob(kind, queue_of(kind, options), field) for kind, options, field in schedule.starts]
    yield from {(job.kind, job.queue): job for job in reversed(made)}.values()


def queues_of(schedule: Schedule, known: Callable[[str], Kind | None]) -> tuple[str, ...]:
    """Where its jobs go, sorted."""
    return tuple(sorted({job.queue for job in jobs_of(schedule, known)}))


def no_such_schedule(name: str) -> ScheduleNotFound:
    return ScheduleNotFound(f"there is no schedule {name}")
