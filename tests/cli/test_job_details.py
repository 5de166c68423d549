"""What the terminal says of one job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

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


STEP = {
    "name": "charge",
    "key": None,
    "kind": "step",
    "result": {"id": 7},
    "timed_out": False,
    "until": None,
    "run": 0,
    "started_at": "2030-01-01T00:00:00.000Z",
    "ended_at": "2030-01-01T00:00:01.500Z",
}


def test_its_steps_with_what_was_recorded() -> None:
    waited = {**STEP, "name": "paid", "key": "7", "kind": "wait", "run": 2}
    shown = said(steps=[STEP, waited, {**waited, "name": "late", "key": None, "timed_out": True, "result": None}])
    assert 'step charge  run 0, took 1.5s: {"id": 7}' in shown
    assert 'step paid/7  run 2, waited 1.5s: {"id": 7}' in shown
    assert "step late    run 2, waited 1.5s: its time was over" in shown


def test_a_step_that_still_waits() -> None:
    open_ended = {**STEP, "kind": "wait", "result": None, "ended_at": None}
    ahead = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    assert "step charge  run 0, waits\n" in "\n".join(map(str.rstrip, said(steps=[open_ended]).splitlines())) + "\n"
    assert "step charge  run 0, waits, for 1h59m at most" in said(steps=[{**open_ended, "until": ahead}])


def test_what_a_waiting_job_waits_for() -> None:
    waiting = {"code": "event", "detail": "it waits for event paid", "until": None, "step": "paid", "event": "paid"}
    assert "waiting_for  it waits for event paid" in said(status="waiting", waiting_for=waiting)


def test_the_parent_of_a_child() -> None:
    parent = {"id": JOB["id"], "step": "pack", "index": 0}
    assert f"parent   id {JOB['id']}, step pack, index 0" in said(parent=parent)


def test_nothing_of_steps_where_there_are_none() -> None:
    assert "step" not in said(steps=[]) + said(steps=None)
