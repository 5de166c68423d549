"""Schedules in words for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ironforge.job.request import JobRequest
from ironforge.schedules.definition import Schedule
from ironforge.schedules.words import words

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            {"cron": ("0 8,9 * * 1-5",), "timezone": "Europe/Berlin"},
            "at 08:00 and 09:00 on weekdays, Europe/Berlin",
        ),
        ({"cron": ("*/15 9-17 * * sat,sun",)}, "every 15th minute from 09:00 through 17:59 on weekends, UTC"),
        (
            {"cron": ("0 9 * * *", "10 30 12 * * 5L")},
            "at 09:00 every day and at 12:30:10 on the last Friday of the month, UTC",
        ),
        ({"every_seconds": 1}, "every second"),
        ({"every_seconds": 1.5}, "every 1.5 seconds"),
        ({"every_seconds": 90}, "every 90 seconds"),
        ({"every_seconds": 3600, "jitter_seconds": 30}, "every hour, up to 30 s later"),
        ({"every_seconds": 60, "exclude": ("2026-12-25",)}, "every minute, UTC, except 2026-12-25"),
        ({"every_seconds": 172_800, "start": NOON}, "every 2 days, from 2026-12-01T12:00:00+00:00"),
        (
            {"cron": ("0 9 * * *",), "exclude": ("2026-12-25", "* * 1 1 *"), "end": NOON},
            "at 09:00 every day, UTC, except 2026-12-25, * * 1 1 *, until 2026-12-01T12:00:00+00:00",
        ),
        ({"cron": ("0 9 * * *",), "exclude": ("2026-12-25",) * 4}, "at 09:00 every day, UTC, except 4 exclusions"),
    ],
)
def test_in_words(said: dict[str, Any], expected: str) -> None:
    assert words(Schedule(job=JobRequest(kind="a"), **said)) == expected
