"""What `ironforge stats` says beside its tables."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from ironforge.cli.status import _stats

ANSWER: dict[str, Any] = {
    "queues": [],
    "paused": [],
    "unserved": {"queues": [], "kinds": [], "versions": []},
    "totals": {},
    "rates": None,
    "scheduled": 0,
    "dlq_depth": 0,
    "waiting": {"total": 0, "sleep": 0, "event": 0, "children": 0},
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


def test_jobs_in_state_waiting_are_told_by_what_they_wait_for() -> None:
    waiting = {"total": 1_003, "sleep": 1_000, "event": 2, "children": 1, "workflow": 0}
    assert "1003 jobs in state waiting: 1000 for a time, 2 for an event, 1 for their children" in said(waiting=waiting)
    one = {"total": 1, "sleep": 0, "event": 1, "children": 0, "workflow": 0}
    assert "1 job in state waiting: 1 for an event" in said(waiting=one)
    assert "2 jobs in state waiting: 2 workflows under way" in said(
        waiting={**one, "total": 2, "event": 0, "workflow": 2}
    )


@pytest.mark.parametrize("waiting", [ANSWER["waiting"], None])
def test_nothing_of_them_where_there_are_none_or_the_caller_may_not_see_them(waiting: Any) -> None:
    assert "in state waiting" not in said(waiting=waiting, totals={} if waiting else None)


def said(schedules: Any = None, **fields: Any) -> str:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(_stats({**ANSWER, **fields, "schedules": schedules}))
    return capture.get()
