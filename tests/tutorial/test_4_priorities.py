"""Lesson 4: what is urgent goes first, and nobody is forgotten."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from ironforge import Forge
from tests.support.waiting import eventually

# One job at a time shows the order best; a node usually runs 64.
FLAGS = ("--concurrency", "1")
forge = Forge()
turns = itertools.count(1)


@forge.job("ticket.answer")
async def answer() -> int:
    """Which turn it was, counted in the node's process."""
    return next(turns)


@forge.job("desk.occupy")
async def occupy() -> None:
    await asyncio.sleep(3600)


@pytest.fixture
def free_the_desk(client):
    """Until it is called the node has its hands full, so that jobs wait for it."""
    job_id = client.submit("desk.occupy")["id"]
    eventually(lambda: client.get(job_id)["status"] == "running", "the node to be occupied")
    return lambda: client.cancel(job_id)


def test_the_most_urgent_job_runs_first(client, free_the_desk):
    labels = ["low", "critical", "medium", "high"]
    ids = [client.submit("ticket.answer", priority=label)["id"] for label in labels]
    free_the_desk()
    turn = {label: client.wait(job_id)["result"] for label, job_id in zip(labels, ids, strict=True)}
    assert sorted(labels, key=turn.__getitem__) == ["critical", "high", "medium", "low"]


def test_within_a_priority_the_first_one_goes_first(client, free_the_desk):
    # `medium` is the default.
    ids = [client.submit("ticket.answer")["id"] for _ in range(3)]
    free_the_desk()
    taken = [client.wait(job_id)["result"] for job_id in ids]
    assert taken == sorted(taken)


def test_a_customer_with_many_jobs_does_not_hold_up_the_others(client, free_the_desk):
    # Jobs with fairness keys take turns by key: Ada's only job does not wait for all of Bob's.
    bobs = [client.submit("ticket.answer", fairness_key="bob")["id"] for _ in range(5)]
    adas = client.submit("ticket.answer", fairness_key="ada")["id"]
    free_the_desk()
    assert client.wait(adas)["result"] < client.wait(bobs[2])["result"]


def test_a_queue_can_be_paused(client):
    # Nodes take nothing from it until it is resumed; jobs are accepted, and wait.
    client.pause_queue("default")
    job_id = client.submit("ticket.answer")["id"]
    assert client.stats()["paused"] == ["default"]

    client.resume_queue("default")
    assert client.wait(job_id)["status"] == "completed"
