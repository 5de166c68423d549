"""Lesson 7: learn what became of your jobs."""

from __future__ import annotations

import asyncio
import json

import pytest

from ironforge import AsyncClient, Forge, JobNotFound, errors

forge = Forge()


@forge.job("numbers.add")
async def add(numbers: list[int]) -> dict[str, int]:
    return {"sum": sum(numbers)}


@forge.job("numbers.ponder")
async def ponder() -> None:
    await asyncio.sleep(3600)


def test_a_result_is_what_the_handler_returned_as_json(client):
    job = client.wait(client.submit("numbers.add", {"numbers": [1, 2, 3]})["id"])
    assert job["result"] == {"sum": 6}


def test_a_job_tells_its_story(client, ironforge):
    job_id = client.submit("numbers.add", {"numbers": [1]})["id"]
    client.wait(job_id)
    job = client.get(job_id)
    assert job["errors"] == []
    assert job["created_at"] <= job["started_at"] <= job["finished_at"]

    # `ironforge jobs show` tells the same.
    shown = ironforge("jobs", "show", job_id, "--json")
    assert json.loads(shown.stdout)["result"] == job["result"]


def test_waiting_ends_when_you_say(client):
    job_id = client.submit("numbers.ponder")["id"]
    with pytest.raises(errors.WaitTimeout):
        client.wait(job_id, timeout_seconds=0.05)
    client.cancel(job_id)


async def test_many_results_are_awaited_together(url):
    # AsyncClient has the same calls for asyncio.
    async with AsyncClient(url) as client:
        ids = await client.submit_many([{"kind": "numbers.add", "payload": {"numbers": [n, n]}} for n in range(5)])
        jobs = await asyncio.gather(*(client.wait(job_id) for job_id in ids))
    assert [job["result"]["sum"] for job in jobs] == [0, 2, 4, 6, 8]


def test_results_are_kept_as_long_as_you_say(client):
    # An hour unless told otherwise; what nobody will ask for costs nothing with 0.
    job_id = client.submit("numbers.add", {"numbers": [1]}, retain_seconds=0)["id"]
    with pytest.raises(JobNotFound):
        client.wait(job_id)


def test_the_installation_counts_what_it_has_done(client):
    client.wait(client.submit("numbers.add", {"numbers": []})["id"])
    assert client.stats()["totals"]["completed"] >= 1
    assert client.health()["status"] == "ok"
