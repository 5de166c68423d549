"""Schedules that code of nodes defines: of several definitions the one that counts is put, as the nodes come and go.

Of those that running nodes have in their code the one first announced last counts, as with limits: so an old node that
starts again in a roll-out changes nothing, and a roll-back holds at once. A schedule that no node has any more is
paused, as long as some of its application run: where all are gone, as with installations that scale to zero, nothing
says that its code is.

Any node sees to all schedules of its namespace, and to no effect where another one did. What it did is looked at again,
since nodes may have come or gone meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from ironforge.errors import IronForgeError, StoreError, StoreUnavailable
from ironforge.formats.timestamps import now_ms
from ironforge.job.definition import Announcement
from ironforge.logs.setup import get_logger
from ironforge.redis.connection import Command
from ironforge.redis.replies import rows
from ironforge.redis.scripts import ANNOUNCE_SCHEDULES, SCHEDULES_IN_CODE
from ironforge.schedules.errors import ScheduleChanged, ScheduleNotFound
from ironforge.schedules.in_code import decode_announced
from ironforge.settings import Settings
from ironforge.store.contract import Inspector
from ironforge.store.kinds import VERSIONS_KEPT
from ironforge.store.schedules.contract import CODE, Pause, ScheduleView, StoredSchedule
from ironforge.store.schedules.defining import passed
from ironforge.store.schedules.schedules import RedisSchedules
from ironforge.store.schedules.shard import ScheduleShard
from ironforge.store.schedules.stored import Held

GONE: Final = "it is in the code of no running node of its application any more"
# Nodes would have to come or go in each of so many looks in a row.
LOOKS: Final = 10
# Announced in one call.
AT_ONCE: Final = 100

# What became of a schedule; `open`: it is to be looked at again, also where no node comes or goes.
Seen = Literal["changed", "open", "settled"]

log = get_logger("ironforge.schedules")


class Told(NamedTuple):
    """What nodes say of a schedule: the definition that counts (empty: none has it), and whether nodes run of the
    application that announced it last."""

    name: str
    counts: bytes
    lives: bool


class SchedulesInCode(RedisSchedules):
    """Of the namespace of the settings. `announced`: what this node's code defines."""

    def __init__(self, settings: Settings, inspector: Inspector, announced: Sequence[Announcement] = ()) -> None:
        super().__init__(settings, inspector)
        self._announced = announced
        self._moment = b""
        self._warned: set[str] = set()

    async def announce(self) -> None:
        """Counts from when the node joins. Raises StoreUnavailable."""
        keys = ANNOUNCE_SCHEDULES.keys(self._announced_in)
        for at in range(0, len(self._announced), AT_ONCE):
            words = [word for each in self._announced[at : at + AT_ONCE] for word in each]
            await self._connections[0].run(ANNOUNCE_SCHEDULES, keys, [VERSIONS_KEPT, *words])

    async def settle(self) -> None:
        """Has what counts hold, after nodes came or went. What is in the way of a schedule is logged; an outage as
        well, and the next look sees to it."""
        try:
            for _ in range(LOOKS):
                if not await self._look():
                    break
        except StoreError as error:
            log.warning("schedules_of_code_put_off", error=str(error))

    async def _look(self) -> bool:
        """Whether something changed."""
        moment, told = await self.told(self._moment)
        if not told:
            return False
        await self._kinds.refresh()
        views = {view.name: view for view in await self.views([each.name for each in told])}
        seen = [await self._see_to(each, views.get(each.name)) for each in told]
        self._moment = moment if {*seen} == {"settled"} else b""
        return "changed" in seen

    async def _see_to(self, told: Told, view: ScheduleView | None) -> Seen:
        try:
            if await self._settle(told, view):
                return "changed"
        except StoreUnavailable:
            raise
        except (ScheduleChanged, ScheduleNotFound):
            return "changed"
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one of them
            self._warn(told.name, str(error))
            return "open"
        pause = view.stored.pause if view is not None and view.stored is not None and view.stored.gone else None
        return "open" if pause is not None and pause.until_ms else "settled"

    async def told(self, known: bytes = b"") -> tuple[bytes, list[Told]]:
        """The moment, and what nodes say; nothing where that is known of this moment. Raises StoreUnavailable."""
        words: Command = [known]
        moment, runs, *found = await self._connections[0].run(
            SCHEDULES_IN_CODE, SCHEDULES_IN_CODE.keys(self._announced_in), words
        )
        run = _kinds_in(runs)
        told = []
        for name, counts, latest in rows(found, 3):
            last = decode_announced(latest)
            lives = last is not None and not run.isdisjoint(last.kinds)
            told.append(Told(name.decode(errors="replace"), counts, lives))
        return moment, sorted(told)

    async def _settle(self, told: Told, view: ScheduleView | None) -> bool:
        """Whether something changed. Raises IronForgeError for what is in the way."""
        stored = None if view is None else view.stored
        if view is not None and stored is None:
            raise IronForgeError(f"{view.problem}: it is left alone, as a newer version may have written it")
        if told.counts:
            said = decode_announced(told.counts)
            if said is None:
                return False  # of a newer version, whose nodes see to it
            if stored is None or (stored.schedule, stored.source) != (said.schedule, CODE):
                etag = "" if view is None else view.etag
                await self.put(told.name, said.schedule, source=CODE, expected=etag)
                return True
            if stored.gone or _is_gone(stored.pause):
                await self._shards.chase(told.name, _come_back)
                return True
        elif told.lives and stored is not None and stored.source == CODE and _goes_on(stored, now_ms()):
            await self._shards.chase(told.name, _go)
            log.warning("schedule_is_gone_from_code", schedule=told.name)
            return True
        return False

    def _warn(self, name: str, problem: str) -> None:
        said = f"{name}: {problem}"
        if said not in self._warned:
            self._warned.add(said)
            log.warning("schedule_of_code_not_taken", schedule=name, error=problem)


def _is_gone(pause: Pause | None) -> bool:
    return pause is not None and (pause.note, pause.by) == (GONE, CODE)


def _goes_on(stored: StoredSchedule, now_ms: int) -> bool:
    """Though its code is gone: for the first time, or again, as an operator's pause has ended by itself."""
    return not stored.gone or (stored.pause is not None and not stored.paused(now_ms))


async def _go(shard: ScheduleShard, held: Held) -> Held | None:
    stored, now_ms = held.read(), await shard.now_ms()
    if stored.source != CODE or not _goes_on(stored, now_ms):
        return held
    pause = stored.pause if stored.paused(now_ms) else Pause(GONE, CODE, now_ms)
    return await shard.write(
        held, msgspec.structs.replace(stored, pause=pause, gone=True), held.planned(stored, now_ms)
    )


async def _come_back(shard: ScheduleShard, held: Held) -> Held | None:
    """An operator's pause stays."""
    stored, now_ms = held.read(), await shard.now_ms()
    pause, position, skipped = stored.pause, held.planned(stored, now_ms), None
    if _is_gone(pause):
        pause = None
        position, skipped = await asyncio.to_thread(passed, held, stored, now_ms, now_ms + 1, "paused")
    return await shard.write(held, msgspec.structs.replace(stored, pause=pause, gone=False), position, skipped)


def _kinds_in(runs: Iterable[bytes | None]) -> set[str]:
    """Those that nodes run, by what each of them announced, if anything."""
    found: set[str] = set()
    for said in runs:
        with contextlib.suppress(msgspec.MsgspecError, ValueError):
            found.update(msgspec.json.decode(said or b"{}", type=dict[str, msgspec.Raw]))
    return found
