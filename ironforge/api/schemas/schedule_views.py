"""Shows what the store holds of schedules in the words of the HTTP contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSimError

from ironforge.api.schemas.schedules import (
    BackfilledTick,
    PastTickAnswer,
    PauseAnswer,
    ScheduleAnswer,
    TickAnswer,
    TriggerAnswer,
    WarningAnswer,
)
from ironforge.api.schemas.views import optional_rfc3339, rfc3339
from ironforge.errors import InvalidJob
from ironforge.formats.timestamps import now_ms
from ironforge.job.record import format_id
from ironforge.schedules.definition import Schedule
from ironforge.schedules.ticks import Tick, fire_ms, local_time
from ironforge.schedules.words import words
from ironforge.schedules.zones import zone
from ironforge.store.schedules.contract import Fired, PastTick, ScheduleView, StoredSchedule


def schedule_answer(view: ScheduleView, warnings: Sequence[WarningAnswer] = ()) -> ScheduleAnswer:
    stored = view.stored
    return ScheduleAnswer(
        name=view.name,
        schedule=stored.schedule if stored else None,
        words=_words(stored.schedule) if stored else "",
        source=stored.source if stored else "",
        by=stored.by if stored else "",
        created_at=optional_rfc3339(stored.created_ms if stored else None),
        updated_at=optional_rfc3339(stored.updated_ms if stored else None),
        paused=_pause(stored) if stored else None,
        next_at=optional_rfc3339(view.next_ms),
        **_ids(view.last_job, view.last_is_workflow, "last_"),
        problem=view.problem or None,
        etag=view.etag,
        warnings=list(warnings),
    )


def next_tick(name: str, stored: StoredSchedule, tick: Tick) -> TickAnswer:
    """What a pause skips says so."""
    fires_ms = fire_ms(name, tick.at_ms, stored.schedule.jitter_seconds)
    pause = "skipped, as the schedule is paused" if stored.paused(max(now_ms(), fires_ms)) else ""
    return TickAnswer(rfc3339(tick.at_ms), tick.local, "; ".join(filter(None, (tick.note, pause))))


def past_tick(past: PastTick, in_zone: ZoneInfo) -> PastTickAnswer:
    until_ms = past.last_ms or past.at_ms
    return PastTickAnswer(
        at=rfc3339(past.at_ms),
        outcome=past.outcome,
        reason=past.reason,
        late_seconds=past.late_ms / 1000,
        **_ids(past.job_id, past.is_workflow),
        until=rfc3339(until_ms),
        count=past.ticks,
        local=local_time(past.at_ms, in_zone),
        local_until=local_time(until_ms, in_zone),
    )


def zone_of(view: ScheduleView) -> ZoneInfo:
    """UTC where that of the schedule is not known here."""
    try:
        return zone(view.stored.schedule.timezone if view.stored else "UTC")
    except InvalidJob:
        return zone("UTC")


def trigger_answer(fired: Fired) -> TriggerAnswer:
    return TriggerAnswer(fired.outcome, fired.reason, **_ids(fired.job_id, fired.is_workflow))


def backfilled_tick(at_ms: int, started: bytes | None, is_workflow: bool, in_zone: ZoneInfo) -> BackfilledTick:
    """`started`: the id of what does; None: nothing does."""
    return BackfilledTick(at=rfc3339(at_ms), **_ids(started, is_workflow), local=local_time(at_ms, in_zone))


def _words(schedule: Schedule) -> str:
    try:
        return words(schedule)
    except CronSimError:  # a newer version took it
        return ""


def _pause(stored: StoredSchedule) -> PauseAnswer | None:
    pause = stored.pause
    if pause is None or not stored.paused(now_ms()):
        return None
    return PauseAnswer(pause.note, pause.by, rfc3339(pause.since_ms), optional_rfc3339(pause.until_ms))


def _ids(started: bytes | None, is_workflow: bool, of: str = "") -> dict[str, Any]:
    """The members that name what a tick started."""
    shown = None if started is None else format_id(started)
    return {f"{of}job_id": None if is_workflow else shown, f"{of}workflow_id": shown if is_workflow else None}
