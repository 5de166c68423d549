"""Lesson 9: run jobs at the times of a clock on the wall, each time once."""

from __future__ import annotations

from datetime import datetime

from ironforge import Context, Forge
from tests.support.waiting import eventually

forge = Forge()


# Nodes announce it as they start. `ironforge schedules list` shows it.
@forge.cron("0 8,9 * * 1-5", timezone="Europe/Berlin", payload={"about": "yesterday"})
@forge.job("report.build")
async def build(about: str, context: Context) -> str:
    # The time that the schedule names, however late the job runs.
    return f"a report about {about}, {context.schedule}"


def test_a_schedule_in_the_code_is_there_once_a_node_runs(client, ironforge):
    eventually(lambda: client.schedules(source="code")["schedules"], "the node to announce it")

    shown = ironforge("schedules", "show", "report.build").stdout
    assert shown.startswith("report.build: at 08:00 and 09:00 on weekdays, Europe/Berlin; next in ")


def test_each_tick_starts_one_job(client):
    client.put_schedule("report.often", kind="report.build", payload={"about": "now"}, every_seconds=1)
    ticks = eventually(lambda: client.schedule_history("report.often")["ticks"], "a tick")
    client.pause_schedule("report.often", note="that will do")

    job = client.wait(ticks[-1]["job_id"])
    assert job["result"] == "a report about now, report.often"
    assert job["schedule"] == {"name": "report.often", "tick_at": ticks[-1]["at"]}


def test_what_a_change_of_the_clock_does_is_known_before(client):
    nightly = {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}
    client.put_schedule("report.nightly", kind="report.build", payload={"about": "the day"}, **nightly)
    # That night the clock is put forward from 2 to 3.
    [tick] = client.next_ticks("report.nightly", n=1, after="2027-03-27T12:00:00Z")["next"]

    assert tick["local"] == "2027-03-28T03:00:00+02:00"
    assert tick["note"] == "in place of 2027-03-28 02:30: the clock is put forward past that"


def test_it_runs_when_it_is_told_to(client):
    client.put_schedule("report.yearly", kind="report.build", payload={"about": "the year"}, cron="0 9 1 1 *")
    started = client.trigger_schedule("report.yearly")
    assert client.wait(started["job_id"])["status"] == "completed"

    # What was missed before the schedule was there, two jobs in a second.
    past = client.backfill_schedule("report.yearly", "2024-01-01T00:00:00Z", "2026-01-02T00:00:00Z", per_second=2)
    assert [datetime.fromisoformat(tick["at"]).year for tick in past["ticks"]] == [2024, 2025, 2026]
