"""Lesson 5: change your mind: cancel a job that waits, and one that runs."""

from __future__ import annotations

import asyncio
import time

import pytest

from ironforge import Context, Forge, InvalidState
from tests.support.waiting import eventually

forge = Forge()


@forge.job("film.render")
async def render(seconds: float) -> str:
    """An async handler is cancelled where it waits, as any asyncio task is."""
    await asyncio.sleep(seconds)
    return "rendered"


@forge.job("film.copy")
def copy(seconds: float, context: Context) -> str:
    """A thread cannot be stopped from outside: a long handler looks itself, every now and then."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not context.cancel_requested:
        time.sleep(0.01)
    return "copied"


def test_a_job_that_waits_never_runs(client):
    job_id = client.submit("film.render", {"seconds": 0}, delay_seconds=3600)["id"]
    assert client.cancel(job_id)["status"] == "cancelled"


@pytest.mark.parametrize("kind", ["film.render", "film.copy"])
def test_a_job_that_runs_is_stopped_at_its_node(client, kind):
    job_id = client.submit(kind, {"seconds": 600})["id"]
    eventually(lambda: client.get(job_id)["status"] == "running", "the job to start")

    # The node is told to stop it; how it ended is seen as for any other job.
    client.cancel(job_id)
    job = client.wait(job_id)
    assert job["status"] == "cancelled"
    assert job["result"] is None


def test_a_job_that_has_ended_cannot_be_cancelled(client, ironforge):
    job_id = client.submit("film.render", {"seconds": 0})["id"]
    client.wait(job_id)
    with pytest.raises(InvalidState, match="completed"):
        client.cancel(job_id)

    # The command line's exit codes say the same to scripts: 5 is "not possible in the job's state".
    assert ironforge("jobs", "cancel", job_id).returncode == 5
