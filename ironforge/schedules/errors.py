"""How a schedule is refused."""

from __future__ import annotations

from ironforge.errors import InvalidJob


def wrong(field: str, why: str, hint: str) -> InvalidJob:
    return InvalidJob(f"{field}: {why}: {hint}", code="invalid_schedule", field=field, hint=hint)
