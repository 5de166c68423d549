"""The tick of a schedule that a job is the one of."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from ironforge.formats.bounds import TimeMs


class JobTick(msgspec.Struct, array_like=True, frozen=True):
    """`at_ms`: the time that the schedule names, Unix ms; of a job that was triggered, when that was asked for."""

    schedule: str
    at_ms: TimeMs

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.at_ms / 1000, UTC)

    @property
    def log_fields(self) -> dict[str, str]:
        return {"schedule": self.schedule, "tick_at": self.at.isoformat()}
