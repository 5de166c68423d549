"""How a schedule, or what is asked of one, is refused."""

from __future__ import annotations

from ironforge.errors import InvalidJob, Refused


def wrong(field: str, why: str, hint: str) -> InvalidJob:
    return InvalidJob(f"{field}: {why}: {hint}", code="invalid_schedule", field=field, hint=hint)


class ScheduleNotFound(Refused):
    """The namespace has no schedule of this name."""

    code = "schedule_not_found"


class ScheduleConflict(Refused):
    """Nothing changed: the schedule is of another source, or its job would lie in another shard than before."""

    code = "schedule_conflict"


class ScheduleChanged(ScheduleConflict):
    """Nothing changed: the schedule is not as the caller saw it."""

    code = "schedule_changed"
