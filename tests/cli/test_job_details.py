"""What the terminal says of one job."""

from __future__ import annotations

from rich.console import Console

from ironforge.cli.output import job_details

JOB = {"id": "0199a2b4-7c1e-7d3a-9f00-5b1c2d3e4f50", "status": "queued", "payload": {}, "errors": []}
TICK = {"name": "report.nightly", "tick_at": "2026-01-01T00:00:00.000Z"}


def said(**fields: object) -> str:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(job_details({**JOB, **fields}))
    return capture.get()


def test_the_tick_of_the_schedule_that_it_is_from() -> None:
    assert "schedule  report.nightly, tick of 2026-01-01T00:00:00.000Z" in said(schedule=TICK)


def test_nothing_of_a_schedule_where_it_is_from_none() -> None:
    assert "schedule" not in said(schedule=None)
