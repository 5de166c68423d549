"""What schedules say from now on: one of them, or all that a source owns."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Final, NamedTuple

import msgspec

from ironforge.errors import InvalidJob
from ironforge.job.mismatch import within
from ironforge.job.record import new_id
from ironforge.schedules.checks import check_schedule, check_schedule_name
from ironforge.schedules.definition import Schedule
from ironforge.schedules.errors import ScheduleChanged, ScheduleConflict
from ironforge.store.kind_catalog import LookUp
from ironforge.store.schedules.contract import Applied, StoredSchedule
from ironforge.store.schedules.firing import job_of
from ironforge.store.schedules.shard import ScheduleShard
from ironforge.store.schedules.shards import CHASES, ScheduleShards, elusive
from ironforge.store.schedules.stored import Held, Position, etag_of
from ironforge.store.schedules.ticking import Moment, Skipped, next_tick, step

# At most, until a schedule is made again that was made in two shards at once.
APART_SECONDS: Final = 0.05


class Definition(NamedTuple):
    """That `schedule` is to hold, as `by` says for `source`. `home`: the shard that it belongs into; `most` schedules
    may be there."""

    name: str
    schedule: Schedule
    source: str
    by: str
    home: ScheduleShard
    most: int | None = None

    async def put(self, shards: ScheduleShards, expected: str | None) -> Held:
        """See `contract.Schedules.put`."""
        for _ in range(CHASES):
            shard, held = await shards.find(self.name) or (self.home, Held(self.name, b"", b""))
            check_etag(held, expected)
            self.check(shard, held)
            changed = await self._write(held)
            if changed is None:
                continue
            if held.said or await shards.is_alone(self.home, changed):
                return changed
            await asyncio.sleep(random.uniform(0, APART_SECONDS))  # both may have been taken back
        raise elusive(self.name)

    def check(self, shard: ScheduleShard, held: Held) -> None:
        """Raises ScheduleConflict where it may not take the place of what is held."""
        source = held.source()
        if source is not None and source != self.source:
            belongs = f"belongs to source {source!r}" if source else "has no source, it was put by hand"
            hint = "change it there, or delete it first"
            raise ScheduleConflict(f"schedule {held.name} {belongs}: {hint}", hint=hint)
        if shard is not self.home:
            hint = "delete it first, then make it anew"
            message = f"the key of its job leads to another shard than schedule {held.name} lies in"
            raise ScheduleConflict(f"{message}: {hint}", hint=hint)

    def changes(self, held: Held) -> bool:
        """Whether what is held says anything else."""
        stored = held.legible()
        return stored is None or (stored.schedule, stored.source) != (self.schedule, self.source)

    async def _write(self, held: Held) -> Held | None:
        now_ms, schedule = await self.home.now_ms(), self.schedule
        stored = StoredSchedule(schedule, self.source, self.by, now_ms, now_ms)
        before = held.legible()
        if before is None:
            first = await asyncio.to_thread(next_tick, held.name, schedule, now_ms)
            return await self.home.write(held, stored, Position().to(first), most=self.most)
        if not self.changes(held) and held.position() is not None:
            return held
        stored = msgspec.structs.replace(stored, created_ms=before.created_ms, pause=before.pause)
        position, skipped = await asyncio.to_thread(self._planned, held, before, now_ms)
        return await self.home.write(held, stored, position, skipped)

    def _planned(self, held: Held, before: StoredSchedule, now_ms: int) -> tuple[Position, Skipped | None]:
        """Where it is from now on, and which ticks start nothing any more."""
        if before.schedule.timing == self.schedule.timing:
            return held.planned(before, now_ms), None
        # What was due is in the history, and where the clock was put back no tick comes twice.
        position, skipped = passed(held, before, now_ms, now_ms + 1, "redefined")
        return position.to(next_tick(held.name, self.schedule, max(now_ms, position.since_ms))), skipped


async def home_of(shards: ScheduleShards, name: str, schedule: Schedule, look_up: LookUp) -> ScheduleShard:
    """The shard that a schedule belongs into. Raises InvalidJob for one that is not right."""
    check_schedule_name(name)
    # Through times that are left out it may have to look for seconds.
    await asyncio.to_thread(check_schedule, schedule)
    submits_job = schedule.workflow is None
    try:
        home = shards.home(name, job_of(schedule, new_id(), look_up).job if submits_job else None)
        home.firing.run(name, schedule, new_id(), look_up)
    except InvalidJob as error:
        raise within("job" if submits_job else "workflow", error) from None
    return home


async def apply(
    shards: ScheduleShards,
    source: str,
    wanted: Mapping[str, Schedule],
    look_up: LookUp,
    *,
    by: str,
    most: int | None,
    dry_run: bool,
) -> Applied:
    """See `contract.Schedules.apply`."""
    made: dict[str, Definition] = {}
    for name, schedule in wanted.items():
        try:
            home = await home_of(shards, name, schedule, look_up)
        except InvalidJob as error:
            raise within(f"schedules.{name}", error) from None
        made[name] = Definition(name, schedule, source, by, home, most)
    applied, seen = await _compared(shards, source, made)
    if not dry_run and (applied.deleted or applied.changed or applied.created):
        for name in applied.deleted:
            await shards.chase(name, partial(_delete, seen[name]))
        for name in (*applied.changed, *applied.created):
            await made[name].put(shards, seen.get(name, ""))
        now, _ = await _compared(shards, source, made)
        if now.deleted or now.changed or now.created:
            # Another one did the same at once: what each of them left alone the other may have changed.
            hint = "apply it again"
            raise ScheduleChanged(f"what source {source} has was changed meanwhile: {hint}", hint=hint)
    return applied


async def _compared(
    shards: ScheduleShards, source: str, made: Mapping[str, Definition]
) -> tuple[Applied, dict[str, str]]:
    """What is to be done, and the ETags of what is there already. Raises ScheduleConflict and QuotaExceeded."""
    applied, seen = Applied([], [], [], []), {}
    counts: Counter[ScheduleShard] = Counter()
    async for shard, held in shards.walk():
        counts[shard] += 1
        if (definition := made.get(held.name)) is not None:
            definition.check(shard, held)
            (applied.changed if definition.changes(held) else applied.unchanged).append(held.name)
        elif (stored := held.legible()) is not None and stored.source == source:
            counts[shard] -= 1
            applied.deleted.append(held.name)
        else:
            continue
        seen[held.name] = etag_of(held.said)
    for name, definition in made.items():
        if name not in seen:
            definition.home.check_room(counts[definition.home], definition.most)
            counts[definition.home] += 1
            applied.created.append(name)
    return Applied(*map(sorted, applied)), seen


async def _delete(expected: str, shard: ScheduleShard, held: Held) -> bool | None:
    check_etag(held, expected)
    return await shard.delete(held) or None


def check_etag(held: Held, expected: str | None) -> None:
    """Raises ScheduleChanged."""
    etag = etag_of(held.said) if held.said else ""
    if expected is not None and expected != etag:
        now, hint = f"has the ETag {etag} now" if etag else "is not there", "read it again, then repeat the change"
        raise ScheduleChanged(f"schedule {held.name} {now}, not as expected: {hint}", hint=hint)


def passed(
    held: Held, stored: StoredSchedule, now_ms: int, until_ms: int, reason: str
) -> tuple[Position, Skipped | None]:
    """Past the ticks that fire before then, and those ticks. Of very many only the first ones are counted. It may look
    for seconds, so no loop should wait for it."""
    position, until_ms = held.planned(stored, now_ms), min(until_ms, now_ms + 1)
    if position.at_ms is None or position.fires_ms >= until_ms:
        return position, None
    first = Moment(position.at_ms, position.fires_ms)
    plan = step(held.name, stored.schedule, first, now_ms, paused_until_ms=until_ms)
    following, skipped = plan.following, plan.skipped and plan.skipped._replace(reason=reason)
    if skipped and following is not None and following.fires_ms <= now_ms and until_ms > now_ms:
        following, skipped = next_tick(held.name, stored.schedule, now_ms), skipped._replace(last_ms=now_ms)
    return position.to(following), skipped
