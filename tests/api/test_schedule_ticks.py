"""Ticks of schedules over HTTP: those to come, those that were, and jobs started out of turn."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.test_schedules import HOURLY, JOB, put


async def test_the_next_ticks_say_what_the_clock_does_to_them(api: Any) -> None:
    nightly = {"cron": ["30 2 * * *"], "timezone": "Europe/Berlin", "job": JOB}
    await put(api, schedule=nightly)
    found = await api.call("GET", "/schedules/report/next?n=2&after=2030-03-30T02:00:00Z")
    assert found.status == 200
    assert found.body["next"] == [
        {
            "at": "2030-03-31T01:00:00.000Z",
            "local": "2030-03-31T03:00:00+02:00",
            "note": "in place of 2030-03-31 02:30: the clock is put forward past that",
        },
        {"at": "2030-04-01T00:30:00.000Z", "local": "2030-04-01T02:30:00+02:00", "note": ""},
    ]
    assert len((await api.call("GET", "/schedules/report/next")).body["next"]) == 10
    await put(api, schedule={**nightly, "gap": "skip"})
    [dropped] = (await api.call("GET", "/schedules/report/next?n=1&after=2030-03-30T02:00:00Z")).body["next"]
    assert dropped["at"] == "2030-04-01T00:30:00.000Z"
    assert dropped["note"] == "before it 2030-03-31 02:30 left out: the clock is put forward past that"


async def test_ticks_that_are_long_in_coming_are_told_in_parts(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exclusions may leave thousands of times out between two of them."""
    await put(api)
    whole = (await api.call("GET", "/schedules/report/next?n=3")).body
    assert (len(whole["next"]), whole["truncated"]) == (3, False)
    monkeypatch.setattr("ironforge.schedules.ticks.LOOK_SECONDS", -1.0)
    some = (await api.call("GET", "/schedules/report/next?n=3")).body
    assert some == {"next": whole["next"][:1], "truncated": True}
    rest = (await api.call("GET", f"/schedules/report/next?n=1&after={whole['next'][0]['at']}")).body
    assert rest == {"next": whole["next"][1:2], "truncated": False}
    asked = {"from": "2030-01-01T00:00:00Z", "to": "2030-01-02T00:00:00Z"}
    refused = await api.call("POST", "/schedules/report/backfill", json=asked)
    assert (refused.status, refused.body["field"]) == (400, "to")
    assert "has more ticks than can be found at once from 2030-01-01" in refused.body["detail"]


async def test_ticks_of_a_paused_one_say_that_they_are_skipped(api: Any) -> None:
    await put(api)
    await api.call("POST", "/schedules/report/pause", json={"until": "2030-01-01T01:00:00Z"})
    found = (await api.call("GET", "/schedules/report/next?n=2")).body["next"]
    assert [tick["note"] for tick in found] == ["skipped, as the schedule is paused", ""]


async def test_what_was_is_told_by_the_clock_of_the_schedule(api: Any) -> None:
    await put(api, schedule={"cron": ["30 2 * * *"], "timezone": "Europe/Berlin", "job": JOB})
    asked = {"from": "2030-01-01T00:00:00Z", "to": "2030-01-02T00:00:00Z"}
    [tick] = (await api.call("POST", "/schedules/report/backfill", json=asked)).body["ticks"]
    assert (tick["at"], tick["local"]) == ("2030-01-01T01:30:00.000Z", "2030-01-01T02:30:00+01:00")
    [row] = (await api.call("GET", "/schedules/report/history")).body["ticks"]
    assert (row["local"], row["local_until"]) == (tick["local"], tick["local"])


async def test_a_schedule_that_ends_has_no_more_ticks(api: Any) -> None:
    await put(api, schedule={**HOURLY, "end": "2030-01-01T02:00:00Z"})
    found = (await api.call("GET", "/schedules/report/next?n=1000")).body["next"]
    assert [tick["at"] for tick in found] == ["2030-01-01T00:00:00.000Z", "2030-01-01T01:00:00.000Z"]


async def test_a_triggered_job_is_there_and_in_the_history(api: Any) -> None:
    await put(api, schedule={**HOURLY, "overlap": "skip"})
    started = (await api.call("POST", "/schedules/report/trigger")).body
    assert (started["outcome"], started["reason"]) == ("started", "trigger")
    assert (await api.call("GET", f"/jobs/{started['job_id']}")).body["payload"] == JOB["payload"]
    assert (await api.call("GET", "/schedules/report")).body["last_job_id"] == started["job_id"]
    skipped = (await api.call("POST", "/schedules/report/trigger")).body
    assert skipped == {"outcome": "skipped", "reason": "overlap", "job_id": None, "workflow_id": None}
    newest, oldest = (await api.call("GET", "/schedules/report/history")).body["ticks"]
    assert (newest["outcome"], newest["reason"], newest["job_id"]) == ("skipped", "overlap", None)
    assert (oldest["outcome"], oldest["reason"], oldest["job_id"]) == ("started", "trigger", started["job_id"])
    assert (oldest["until"], oldest["count"]) == (oldest["at"], 1)


async def test_the_history_is_read_page_by_page(api: Any) -> None:
    await put(api, schedule={**HOURLY, "overlap": "allow"})
    ids = [(await api.call("POST", "/schedules/report/trigger")).body["job_id"] for _ in range(5)]
    found, cursor = [], ""
    while cursor is not None:
        query = f"limit=2&cursor={cursor}" if cursor else "limit=2"
        page = (await api.call("GET", f"/schedules/report/history?{query}")).body
        found += [tick["job_id"] for tick in page["ticks"]]
        cursor = page["next"]
    assert found == ids[::-1]


async def test_a_backfill_starts_a_job_for_each_tick_and_a_dry_run_none(api: Any) -> None:
    await put(api)
    asked = {"from": "2030-01-01T00:00:00Z", "to": "2030-01-01T03:00:00Z", "per_second": 100}
    hours = [f"2030-01-01T0{hour}:00:00.000Z" for hour in range(3)]
    dry = await api.call("POST", "/schedules/report/backfill", json={**asked, "dry_run": True})
    assert dry.body == {
        "dry_run": True,
        "ticks": [
            {"at": at, "job_id": None, "workflow_id": None, "local": at.replace(".000Z", "+00:00")} for at in hours
        ],
    }
    assert (await api.call("GET", "/jobs")).body["jobs"] == []
    done = (await api.call("POST", "/schedules/report/backfill", json=asked)).body
    assert [tick["at"] for tick in done["ticks"]] == hours
    jobs = (await api.call("GET", "/jobs")).body["jobs"]
    assert sorted(job["id"] for job in jobs) == sorted(tick["job_id"] for tick in done["ticks"])
    [row] = (await api.call("GET", "/schedules/report/history")).body["ticks"]
    assert (row["reason"], row["count"]) == ("backfill", 3)
