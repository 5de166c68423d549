"""Lesson 6: run a job later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ironforge import Forge, InvalidJob

forge = Forge()


@forge.job("reminder.send")
async def remind() -> str:
    return datetime.now(UTC).isoformat()


def test_in_a_while(client):
    accepted = client.submit("reminder.send", delay_seconds=0.2)
    # Until it is due it is scheduled, and no node holds it; all of them may restart meanwhile.
    assert accepted["status"] == "scheduled"

    job = client.wait(accepted["id"])
    waited = datetime.fromisoformat(job["started_at"]) - datetime.fromisoformat(job["created_at"])
    assert waited >= timedelta(seconds=0.2)


def test_a_duration_may_be_a_timedelta(client):
    job_id = client.submit("reminder.send", delay_seconds=timedelta(days=7))["id"]
    due = datetime.fromisoformat(client.get(job_id)["run_at"])
    assert due - datetime.now(UTC) > timedelta(days=6)


def test_at_a_given_time(client):
    # A time has a zone, so that it means the same on every machine.
    due = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    job_id = client.submit("reminder.send", run_at=due)["id"]
    assert datetime.fromisoformat(client.get(job_id)["run_at"]) == due

    with pytest.raises(InvalidJob, match="run_at"):
        client.submit("reminder.send", run_at="2027-01-31T12:00:00")


def test_what_is_scheduled_can_be_listed(client):
    # `ironforge jobs list --state scheduled` shows the same.
    job_id = client.submit("reminder.send", delay_seconds=3600)["id"]
    assert job_id in [job["id"] for job in client.iter_jobs(state="scheduled")]
