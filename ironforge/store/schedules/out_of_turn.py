"""Starting what a schedule starts out of turn: once, or for its times in the past."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from ironforge.errors import InvalidJob
from ironforge.job.record import created_ms_of, new_id
from ironforge.job.tick import JobTick
from ironforge.schedules.definition import Schedule
from ironforge.schedules.ticks import looked_for
from ironforge.store.contract import Submission
from ironforge.store.kind_catalog import LookUp
from ironforge.store.schedules.advance import Advance, Run
from ironforge.store.schedules.contract import MAX_BACKFILL, Fired, StoredSchedule
from ironforge.store.schedules.shard import ScheduleShard
from ironforge.store.schedules.shards import ScheduleShards
from ironforge.store.schedules.stored import Held
from ironforge.store.schedules.ticking import moments
from ironforge.store.workflows.contract import WorkflowSubmission
from ironforge.store.workflows.submit_call import Accepted

# Of all workflows that one script starts.
NODES_AT_ONCE: Final = 1_000


async def fire_now(shard: ScheduleShard, stored: StoredSchedule, advance: Advance) -> Fired | None:
    """Out of turn. None: the schedule is not where it was seen, or where it is was lost, and is known now."""
    if advance.held.position() is None:
        await shard.write(advance.held, stored, advance.goes)
        return None
    _, [became] = await shard.fire([advance])
    if became.verdict == "started":
        return Fired("started", advance.reason, became.job_id, stored.schedule.workflow is not None)
    return Fired("skipped", "overlap") if became.verdict == "skipped" else None


class Backfill(NamedTuple):
    """Of a schedule for its times from `start` on and before `end`, so many in a second."""

    name: str
    start: datetime
    end: datetime
    per_second: float

    async def submit(self, shards: ScheduleShards, look_up: LookUp, *, dry_run: bool) -> list[tuple[int, bytes]]:
        """Times in ms with the ids of their runs; see `contract.Schedules.backfill`."""

        async def attempt(shard: ScheduleShard, held: Held) -> list[tuple[int, bytes]] | None:
            stored = held.read()
            times = await asyncio.to_thread(_times, self.name, stored.schedule, self.start, self.end)
            one = shard.firing.run(self.name, stored.schedule, new_id(), look_up)
            if isinstance(one, Accepted):
                workflows = [one.one._replace(id=new_id(one.one.id[-1]), tick=JobTick(self.name, ms)) for ms in times]
                if not dry_run:
                    await self._start_in_parts(shards, times, workflows)
                return [(at_ms, workflow.id) for at_ms, workflow in zip(times, workflows, strict=True)]
            delays_ms = (round(number * 1000 / self.per_second) for number in itertools.count())
            jobs = [_later(one, JobTick(self.name, ms), late) for ms, late in zip(times, delays_ms, strict=False)]
            if jobs and not dry_run and not await self._start(shard, held, times, jobs):
                return None
            return [(at_ms, job.job.id) for at_ms, job in zip(times, jobs, strict=True)]

        return await shards.chase(self.name, attempt)

    async def _start_in_parts(
        self, shards: ScheduleShards, times: Sequence[int], workflows: Sequence[WorkflowSubmission]
    ) -> None:
        """As many at once as go into one script: where it is interrupted, those before have started."""
        pause_ms = round(1000 / self.per_second)
        at_once = max(1, NODES_AT_ONCE // len(workflows[0].prepared.graph)) if workflows else 1
        for first in range(0, len(workflows), at_once):
            part, pace = slice(first, first + at_once), (first * pause_ms, pause_ms)

            async def start(shard: ScheduleShard, held: Held) -> Fired | None:
                runs = [shard.firing.workflow(one) for one in workflows[part]]  # noqa: B023 - at once
                return await self._start(shard, held, times[part], runs, pace)  # noqa: B023

            await shards.chase(self.name, start)

    async def _start(
        self,
        shard: ScheduleShard,
        held: Held,
        times: Sequence[int],
        runs: Sequence[Run],
        pace: tuple[int, int] = (0, 0),
    ) -> Fired | None:
        stored, now_ms = held.read(), await shard.now_ms()
        position = held.planned(stored, now_ms)
        advance = Advance(held, position, at_ms=times[0], reason="backfill", last_ms=times[-1], pace=pace)
        return await fire_now(shard, stored, advance.starting(runs, stored.schedule.overlap, whatever_runs=True))


def _times(name: str, schedule: Schedule, start: datetime, end: datetime) -> list[int]:
    """Of its ticks from `start` on and before `end`, in ms."""
    until_ms = end.timestamp() * 1000
    after_ms = math.ceil(start.timestamp() * 1000) - 1
    at_ms = (tick.at_ms for tick in moments(name, schedule, after_ms))
    times, is_whole = looked_for(itertools.takewhile(lambda at: at < until_ms, at_ms), MAX_BACKFILL + 1)
    if len(times) > MAX_BACKFILL or not is_whole:
        hint = f"give a shorter time, with at most {MAX_BACKFILL}"
        many = f"more than {MAX_BACKFILL} ticks" if is_whole else "more ticks than can be found at once"
        raise InvalidJob(
            f"schedule {name} has {many} from {start.isoformat()} to {end.isoformat()}: {hint}",
            code="out_of_range",
            field="to",
            hint=hint,
        )
    return times


def _later(one: Submission, tick: JobTick, delay_ms: int) -> Submission:
    """The same job for another tick, under an id of its own."""
    job_id = new_id(one.job.id[-1])
    created_ms = created_ms_of(job_id)
    delay_ms += one.delay_ms or 0
    ready_ms = created_ms + delay_ms if delay_ms else 0
    job = msgspec.structs.replace(one.job, id=job_id, created_ms=created_ms, ready_ms=ready_ms, tick=tick)
    expires_in_ms = one.expires_in_ms and one.expires_in_ms + delay_ms
    return msgspec.structs.replace(one, job=job, delay_ms=delay_ms or None, expires_in_ms=expires_in_ms)
