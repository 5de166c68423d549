"""What is to happen to a schedule at its next tick, prepared ahead: firing it computes nothing."""

from __future__ import annotations

import math

from ironforge.errors import InvalidJob
from ironforge.schedules.definition import GRACE_MS
from ironforge.store.kind_catalog import LookUp
from ironforge.store.schedules.contract import StoredSchedule
from ironforge.store.schedules.firing import Firing, Shot, tick_id
from ironforge.store.schedules.stored import Held
from ironforge.store.schedules.ticking import Moment, Skipped, step


def aim(held: Held, stored: StoredSchedule, now_ms: int, firing: Firing, look_up: LookUp) -> Shot:
    """From where it is, which is known. A job that cannot be submitted is `refused` when its time has come."""
    schedule, name, position = stored.schedule, held.name, held.planned(stored, now_ms)
    if position.at_ms is None:
        return Shot(held, position)
    pause = stored.pause
    paused_until = 0 if pause is None else pause.until_ms or math.inf
    first = Moment(position.at_ms, position.fires_ms)
    plan = step(name, schedule, first, now_ms, paused_until_ms=paused_until)
    goes = position.to(plan.following)
    shot = Shot(held, goes, fires_ms=plan.fires_ms, skipped=plan.skipped, give_up_ms=plan.give_up_ms)
    if plan.start is None:
        return shot
    holds_ms = max(plan.start.fires_ms, now_ms) + GRACE_MS
    shot = shot._replace(at_ms=plan.start.at_ms, starts=plan.start, holds_ms=holds_ms)
    try:
        job = firing.job(name, schedule, tick_id(name, stored.created_ms, plan.start.at_ms), look_up)
    except InvalidJob as error:
        return shot._replace(refused=error)
    return shot.starting([job], schedule.overlap)


def skipping(shot: Shot, reason: str) -> Shot:
    """Instead of one whose job is refused: what was skipped before it, if anything, or else this tick."""
    assert shot.starts is not None
    if shot.skipped is not None:
        return shot._replace(goes=shot.goes.to(shot.starts), waits=True, jobs=(), refused=None, ends=b"")
    skipped = Skipped(shot.at_ms, shot.at_ms, 1, reason)
    return shot._replace(skipped=skipped, jobs=(), refused=None, ends=b"")
