"""Shows what the store holds of schedules in the words of the HTTP contract."""

from __future__ import annotations

from collections.abc import Sequence

from cronsim import CronSimError

from ironforge.api.schemas.schedules import PastTickAnswer, PauseAnswer, ScheduleAnswer, TriggerAnswer, WarningAnswer
from ironforge.api.schemas.views import optional_rfc3339, rfc3339
from ironforge.formats.timestamps import now_ms
from ironforge.job.record import format_id
from ironforge.schedules.definition import Schedule
from ironforge.schedules.words import words
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
        last_job_id=_id(view.last_job),
        problem=view.problem or None,
        etag=view.etag,
        warnings=list(warnings),
    )


def past_tick(past: PastTick) -> PastTickAnswer:
    until_ms = past.last_ms or past.at_ms
    at, until, late_seconds = rfc3339(past.at_ms), rfc3339(until_ms), past.late_ms / 1000
    return PastTickAnswer(at, past.outcome, past.reason, late_seconds, _id(past.job_id), until, past.ticks)


def trigger_answer(fired: Fired) -> TriggerAnswer:
    return TriggerAnswer(fired.outcome, fired.reason, _id(fired.job_id))


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


def _id(job_id: bytes | None) -> str | None:
    return None if job_id is None else format_id(job_id)
