"""The next advance of a schedule, prepared ahead: when its time has come nothing is computed any more."""

from __future__ import annotations

import math

from ironforge.errors import InvalidJob
from ironforge.schedules.definition import GRACE_MS
from ironforge.store.kind_catalog import LookUp
from ironforge.store.schedules.advance import Advance
from ironforge.store.schedules.contract import StoredSchedule
from ironforge.store.schedules.firing import Firing, tick_id
from ironforge.store.schedules.stored import Held
from ironforge.store.schedules.ticking import Moment, step


def plan(held: Held, stored: StoredSchedule, now_ms: int, firing: Firing, look_up: LookUp) -> Advance:
    """From where it is, which is known. What cannot be submitted is `refused` when its time has come."""
    schedule, name, position = stored.schedule, held.name, held.planned(stored, now_ms)
    if position.at_ms is None:
        return Advance(held, position)
    pause = stored.pause
    paused_until = 0 if pause is None else pause.until_ms or math.inf
    first = Moment(position.at_ms, position.fires_ms)
    taken = step(name, schedule, first, now_ms, paused_until_ms=paused_until)
    goes = position.to(taken.following)
    advance = Advance(held, goes, fires_ms=taken.fires_ms, skipped=taken.skipped, give_up_ms=taken.give_up_ms)
    start = taken.start
    if start is None:
        return advance
    holds_ms = max(start.fires_ms, now_ms) + GRACE_MS
    advance = advance._replace(at_ms=start.at_ms, starts=start, holds_ms=holds_ms)
    try:
        run = firing.run(name, schedule, tick_id(name, stored.created_ms, start.at_ms), look_up)
    except InvalidJob as error:
        return advance._replace(refused=error)
    return advance.starting([run], schedule.overlap)
