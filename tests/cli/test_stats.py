"""What `ironforge stats` says beside its tables."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from ironforge.cli.status import _stats

ANSWER: dict[str, Any] = {
    "queues": [],
    "paused": [],
    "unserved": {"queues": [], "kinds": []},
    "totals": {},
    "rates": None,
    "scheduled": 0,
    "dlq_depth": 0,
}
NONE = {"total": 0, "paused": 0, "broken": 0, "overdue": 0, "next_in_seconds": None}


@pytest.mark.parametrize(
    ("schedules", "expected"),
    [
        ({"total": 1, "next_in_seconds": 7.5}, "1 schedule: next tick in 7.5s"),
        (
            {"total": 4, "paused": 1, "broken": 2, "overdue": 3, "next_in_seconds": 0.0},
            "4 schedules: 1 paused, 2 broken, 3 overdue, next tick in 0.0s",
        ),
        ({"total": 2}, "2 schedules: no tick is to come"),
    ],
)
def test_how_schedules_are(schedules: dict[str, Any], expected: str) -> None:
    assert expected in said({**NONE, **schedules})


@pytest.mark.parametrize("schedules", [NONE, None])
def test_nothing_of_schedules_where_there_are_none_or_the_caller_may_not_see_them(schedules: Any) -> None:
    assert "schedule:" not in said(schedules)


def said(schedules: Any) -> str:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(_stats({**ANSWER, "schedules": schedules}))
    return capture.get()
