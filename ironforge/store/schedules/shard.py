"""The schedules of one shard: reading them, and changing what they say only from what was seen."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final

from redis.exceptions import RedisError

from ironforge.errors import InvalidState, JobNotFound
from ironforge.redis.connection import Command, Connection
from ironforge.redis.keys import Keys
from ironforge.redis.outages import is_wrong_type
from ironforge.redis.scripts import DELETE_SCHEDULE, NOTE_PROBLEM, PUT_SCHEDULE
from ironforge.settings import Settings
from ironforge.store.located_jobs import LocatedJobs
from ironforge.store.quotas import all_defined
from ironforge.store.retention import milliseconds
from ironforge.store.schedules.advance import Advance
from ironforge.store.schedules.contract import PastTick, ScheduleView, StoredSchedule
from ironforge.store.schedules.firing import FireCall, Fired, Firing
from ironforge.store.schedules.stored import Held, Position, encode, etag_of, past_tick
from ironforge.store.schedules.ticking import Skipped
from ironforge.store.workflows.steering import RedisSteering
from ironforge.workflows.errors import WorkflowNotFound

MAX_WHY: Final = 500


class ScheduleShard:
    """Over the caller's connection."""

    def __init__(self, settings: Settings, keys: Keys, shard: int, connection: Connection) -> None:
        self._keys = keys
        self._connection = connection
        self._located = LocatedJobs(settings, keys, connection)
        self._steering = RedisSteering(settings, keys, connection)
        self._most = settings.max_schedules
        self.firing = Firing(settings, keys, shard, connection)

    async def now_ms(self) -> int:
        """By the server's clock."""
        return milliseconds(await self._connection.call("TIME"))

    async def names(self) -> list[bytes]:
        names: list[bytes] = await self._connection.call("HKEYS", self._keys.schedules)
        return names

    async def held(self, names: Sequence[str]) -> list[Held]:
        """Those that are there, in this order."""
        if not names:
            return []
        said, at = await self._connection.pipeline(
            [["HMGET", self._keys.schedules, *names], ["HMGET", self._keys.upcoming, *names]]
        )
        return [Held(*one) for one in zip(names, said, (each or b"" for each in at), strict=True) if one[1] is not None]

    async def views(self, names: Sequence[str]) -> list[ScheduleView]:
        """Of those that are there, in this order."""
        held = await self.held(names)
        found = [one.name for one in held]
        problems = await self._connection.call("HMGET", self._keys.problems, *found) if found else []
        return [one.view((why or b"").decode(errors="replace")) for one, why in zip(held, problems, strict=True)]

    async def note_problem(self, name: str, why: str) -> None:
        """It starts no job, for this reason, until it does. One that the server cannot take stops no tick."""
        try:
            await self._connection.run(NOTE_PROBLEM, NOTE_PROBLEM.keys(self._keys), [name, why[:MAX_WHY]])
        except RedisError as error:
            if not is_wrong_type(error):
                raise

    async def write(
        self,
        held: Held,
        stored: StoredSchedule,
        position: Position,
        skipped: Skipped | None = None,
        *,
        most: int | None = None,
        holds_ms: int | None = None,
    ) -> Held | None:
        """What it says from now on, and at which tick it is; `position.tag` is made. None: it is not as it was seen, or
        it is `holds_ms` by now. Raises QuotaExceeded where there are as many as there may be: `most`; None: as the
        settings say."""
        most = self._most if most is None else most
        said = encode(stored)
        position = position._replace(tag=etag_of(said))
        paused = "" if stored.pause is None else stored.pause.until_ms or "inf"
        words = ("" if skipped is None else str(skipped), paused, "" if holds_ms is None else holds_ms)
        done = await self._connection.run(
            PUT_SCHEDULE,
            PUT_SCHEDULE.keys(self._keys, history=self._keys.history(held.name)),
            [*held, said, position.raw, position.look, most, self._keys.signals, *words],
        )
        if done < 0:
            self.check_room(most, most)
        return Held(held.name, said, position.raw) if done else None

    def check_room(self, count: int, most: int | None = None) -> None:
        """For one more than so many. Raises QuotaExceeded."""
        most = self._most if most is None else most
        if count >= most:
            raise all_defined("schedules", most, "delete those that are not used")

    async def delete(self, held: Held) -> bool:
        """False: it has changed since it was seen."""
        keys = DELETE_SCHEDULE.keys(self._keys, history=self._keys.history(held.name))
        return bool(await self._connection.run(DELETE_SCHEDULE, keys, [held.name, held.said]))

    async def fire(self, advances: Sequence[Advance]) -> Fired:
        """As `Firing.fire`, after what new runs cancel."""
        await self._cancel(advances)
        return await self.firing.fire(advances)

    async def fire_all(self, calls: Sequence[FireCall]) -> list[Fired | None]:
        """As `Firing.fire_all`, after what new runs cancel."""
        try:
            await self._cancel([advance for call in calls for advance in call.advances if advance.ends])
        except RedisError as error:
            if not is_wrong_type(error):
                raise
            return [None] * len(calls)  # each by itself, so that one run keeps no other schedule from its tick
        return await self.firing.fire_all(calls)

    async def give_back(self, advances: Sequence[Advance]) -> None:
        """Whatever fires ticks is told of them at once: what they were told to fires them no more."""
        words = [word for advance in advances for word in (advance.since_ms, advance.held.name)]
        add: Command = ["ZADD", self._keys.ticks, "XX", "LT", *words]
        await self._connection.pipeline([add, ["PUBLISH", self._keys.signals, "due:0"]])

    async def history(self, name: str) -> list[PastTick]:
        rows = await self._connection.call("LRANGE", self._keys.history(name), 0, -1)
        return [past for row in rows if (past := past_tick(row)) is not None]

    async def _cancel(self, advances: Sequence[Advance]) -> None:
        """What goes on of the last runs. What dies between this and starting the next one is followed by another one,
        which starts it."""
        ending = [advance for advance in advances if advance.ends]
        if not ending:
            return
        runs = await self._connection.call("HMGET", self._keys.index, *(advance.ends for advance in ending))
        for advance, place in zip(ending, runs, strict=True):
            # Whatever has become of the schedule since: nothing that starts no run ends one.
            where: Command = (advance.held.name, advance.held.at, advance.holds_ms)
            if place is not None:
                with contextlib.suppress(JobNotFound, InvalidState):
                    await self._end_run(advance.ends, place, where)

    async def _end_run(self, run: bytes, place: bytes, where: Command) -> None:
        """Its place says what it is: the schedule may have been defined anew since it started."""
        if place.startswith(b"w:"):
            with contextlib.suppress(WorkflowNotFound):  # a job that waits
                await self._steering.cancel(run, unless_moved=where)
                return
        await self._located.cancel(run, unless_moved=where)
