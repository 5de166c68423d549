"""How a schedule, or what is asked of one, is refused."""

from __future__ import annotations

from ironforge.errors import InvalidJob, Refused


def wrong(field: str, why: str, hint: str) -> InvalidJob:
    return InvalidJob(f"{field}: {why}: {hint}", code="invalid_schedule", field=field, hint=hint)


def check_starts_one(job: object, workflow: object, names: tuple[str, str] = ("job", "workflow")) -> None:
    """Raises InvalidJob where there is none of both, or there are both. `names`: as the door calls them."""
    hint = "give one of them"
    if job is None and workflow is None:
        # As before there were workflows.
        message = f"job: the schedule has neither {' nor '.join(names)}: {hint}"
        raise InvalidJob(message, code="missing_field", field="job", hint=hint)
    if job is not None and workflow is not None:
        raise wrong("job", f"the schedule has both {' and '.join(names)}", hint)


class ScheduleNotFound(Refused):
    """The namespace has no schedule of this name."""

    code = "schedule_not_found"


class ScheduleConflict(Refused):
    """Nothing changed: the schedule is of another source, or its job would lie in another shard than before."""

    code = "schedule_conflict"


class ScheduleChanged(ScheduleConflict):
    """Nothing changed: the schedule is not as the caller saw it."""

    code = "schedule_changed"
