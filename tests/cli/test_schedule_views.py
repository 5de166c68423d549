"""Schedules on a terminal of 80 columns."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from ironforge.cli.schedules import views
from ironforge.job.record import format_id, new_id

JOB_ID = "01a21e12-1030-7f52-9c5b-abe26e71f689"
TICK: dict[str, Any] = {
    "at": "2026-11-27T17:33:44.000Z",
    "outcome": "started",
    "reason": "",
    "late_seconds": 0.004,
    "job_id": JOB_ID,
    "workflow_id": None,
    "until": "2026-11-27T17:33:44.000Z",
    "count": 1,
    "local": "2026-11-27T18:33:44+01:00",
    "local_until": "2026-11-27T18:33:44+01:00",
}
SCHEDULE: dict[str, Any] = {
    "name": "report.nightly",
    "words": "at 02:30 every day, Europe/Berlin",
    "next_at": "2040-01-31T12:00:00.000Z",
    "last_job_id": None,
    "last_workflow_id": None,
    "paused": None,
    "problem": None,
}


def lines(table: Table) -> list[str]:
    console = Console(width=80, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize(
    ("tick", "expected"),
    [
        ({}, f"0.0s started {JOB_ID}"),
        (
            {"reason": "backfill", "count": 3},
            f"0.0s started {JOB_ID} 3 ticks (backfilled)",
        ),
        ({"outcome": "skipped", "job_id": None, "reason": "overlap"}, "skipped (its last run had not ended)"),
        ({"outcome": "skipped", "job_id": None, "reason": "queue_full"}, "skipped (queue_full)"),
        ({"job_id": None, "workflow_id": JOB_ID}, f"0.0s started workflow {JOB_ID}"),
        (
            {
                "outcome": "skipped",
                "job_id": None,
                "reason": "missed",
                "count": 40,
                "until": "",
                "local_until": "2026-11-28T18:33:44+01:00",
            },
            "skipped 40 ticks until Sat 2026-11-28 18:33:44+01:00 (nothing could start it in time)",
        ),
    ],
)
def test_what_became_of_a_tick(tick: dict[str, Any], expected: str):
    _, *shown = lines(views.history([{**TICK, **tick}]))

    assert " ".join(" ".join(shown).split()) == f"Fri 2026-11-27 18:33:44+01:00 {expected}"


@pytest.mark.parametrize(
    ("schedule", "state"),
    [
        ({}, "ticks"),
        ({"next_at": None}, "ended"),
        ({"paused": {"by": "", "until": None, "note": ""}}, "paused"),
        ({"words": "", "next_at": None, "problem": "it cannot be read"}, "broken"),
    ],
)
def test_how_a_schedule_stands(schedule: dict[str, Any], state: str):
    header, row, *_ = lines(views.listed([{**SCHEDULE, **schedule}]))

    assert row[header.index("STATE") :].split()[0] == state


@pytest.mark.parametrize("what", ["last_job_id", "last_workflow_id"])
def test_when_it_last_started(what: str):
    shown = lines(views.listed([{**SCHEDULE, what: format_id(new_id())}]))

    assert "s ago" in shown[1]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({"next_at": None}, "at 02:30 every day, Europe/Berlin; it does not tick again"),
        (
            {"paused": {"by": "key_1", "until": None, "note": "moving"}},
            "at 02:30 every day, Europe/Berlin; paused by key_1 until it is resumed: moving",
        ),
        ({"words": "", "problem": "it cannot be read"}, "it cannot be read; it does not tick: put it anew"),
    ],
)
def test_what_comes_next(schedule: dict[str, Any], expected: str):
    assert views.in_a_line({**SCHEDULE, **schedule}) == f"report.nightly: {expected}"


def test_a_tick_that_is_over_is_not_told_as_one_of_now():
    _, past, coming = lines(
        views.next_ticks(
            [
                {"at": "2020-01-31T12:00:00Z", "local": "2020-01-31T13:00:00+01:00", "note": "a note"},
                {"at": "2140-01-31T12:00:00Z", "local": "2140-01-31T13:00:00+01:00", "note": ""},
            ]
        )
    )

    assert past.split() == ["Fri", "2020-01-31", "13:00:00+01:00", "a", "note"]
    assert len(coming.split()) == 4


@pytest.mark.parametrize(
    ("times", "dry_run", "expected"),
    [
        ([], False, "it has no tick in this time: nothing starts"),
        (["2020-01-31T12:00:00Z"], False, "1 job submitted: the last starts in 0.0s"),
        (
            ["2020-01-31T12:00:00Z", "2140-01-31T12:00:00Z", "2140-02-01T12:00:00Z"],
            True,
            "3 runs would start within 4.0s\nwarning: 2 of these ticks are still to come, and start one again then",
        ),
    ],
)
def test_what_a_backfill_does(times: list[str], *, dry_run: bool, expected: str):
    assert views.backfill_words([{"at": time, "workflow_id": None} for time in times], 0.5, dry_run=dry_run) == expected


def test_a_long_name_does_not_cut_what_a_schedule_says():
    shown = lines(
        views.listed([{**SCHEDULE, "name": "n" * 50, "words": "every minute, America/Argentina/Buenos_Aires"}])
    )

    words = shown[0].index("TICKS")
    assert "".join(line[words:].strip() for line in shown[1:]) == "everyminute,America/Argentina/Buenos_Aires"
