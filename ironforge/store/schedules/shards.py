"""Schedules of all shards by their names, of which each is in one shard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, TypeVar

from ironforge.job.record import Job, tail_of
from ironforge.redis.connection import Connection
from ironforge.redis.shards import shards_of
from ironforge.schedules.errors import ScheduleConflict
from ironforge.settings import Settings
from ironforge.store.schedules.contract import ScheduleView, no_such_schedule
from ironforge.store.schedules.firing import place_of
from ironforge.store.schedules.shard import ScheduleShard
from ironforge.store.schedules.stored import Held
from ironforge.store.sharding.fan_out import gather_all

# Others would have to change a schedule between every read and write for this many times in a row.
CHASES: Final = 20
# Read in one call.
_AT_ONCE: Final = 500

T = TypeVar("T")


class ScheduleShards:
    """`connections`: of each shard."""

    def __init__(self, settings: Settings, connections: Sequence[Connection]) -> None:
        self._shards = [
            ScheduleShard(settings, keys, number, connections[number])
            for number, keys in enumerate(shards_of(settings))
        ]

    async def names(self) -> list[str]:
        """Sorted."""
        found = await gather_all(shard.names() for shard in self._shards)
        return sorted(name.decode(errors="replace") for names in found for name in names)

    async def views(self, names: Sequence[str]) -> list[ScheduleView]:
        """Of those that are there, in this order."""
        by_name: dict[str, ScheduleView] = {}
        for at in range(0, len(names), _AT_ONCE):
            found = await gather_all(shard.views(names[at : at + _AT_ONCE]) for shard in self._shards)
            by_name |= {view.name: view for part in found for view in part}
        return [by_name[name] for name in names if name in by_name]

    async def walk(self) -> AsyncIterator[tuple[ScheduleShard, Held]]:
        """All there are."""
        for shard in self._shards:
            names = [name.decode(errors="replace") for name in await shard.names()]
            for at in range(0, len(names), _AT_ONCE):
                for held in await shard.held(names[at : at + _AT_ONCE]):
                    yield shard, held

    def home(self, name: str, job: Job | None) -> ScheduleShard:
        """Where a schedule with this job lies, or with a workflow. Raises InvalidJob where its keys lead to several."""
        shards = len(self._shards)
        place = name if job is None else place_of(name, job)
        return self._shards[tail_of(place) % shards if shards > 1 else 0]

    async def all_of(self, name: str) -> list[tuple[ScheduleShard, Held]]:
        """Where it lies: in one shard, unless a process died between making it in a second one and taking that back."""
        found = await gather_all(shard.held([name]) for shard in self._shards)
        return [(shard, held[0]) for shard, held in zip(self._shards, found, strict=True) if held]

    async def find(self, name: str) -> tuple[ScheduleShard, Held] | None:
        """None: there is no such schedule."""
        return next(iter(await self.all_of(name)), None)

    async def is_alone(self, shard: ScheduleShard, made: Held) -> bool:
        """Whether a schedule that was just made is the only one of its name. If not, it is taken back: of two that are
        made at once in different shards one at most is told so, since both look after they have written."""
        if all(other is shard for other, _ in await self.all_of(made.name)):
            return True
        await shard.delete(made)
        return False

    async def found(self, name: str) -> tuple[ScheduleShard, Held]:
        """Raises ScheduleNotFound."""
        found = await self.find(name)
        if found is None:
            raise no_such_schedule(name)
        return found

    async def chase(self, name: str, attempt: Callable[[ScheduleShard, Held], Awaitable[T | None]]) -> T:
        """Again while it is changed between being seen and the attempt, which answers None then."""
        for _ in range(CHASES):
            done = await attempt(*await self.found(name))
            if done is not None:
                return done
        raise elusive(name)


def elusive(name: str) -> ScheduleConflict:
    return ScheduleConflict(f"schedule {name} was changed {CHASES} times while it was to be: try again")
