"""Lesson 1: submit a job from wherever you are, and see it run."""

from __future__ import annotations

import json
from urllib.request import Request, urlopen

from ironforge import Forge

# An application is a Forge with handlers. `ironforge dev` in conftest.py runs this one.
forge = Forge()


@forge.job("email.send")
async def send(to: str) -> str:
    return f"sent to {to}"


def test_from_python(client):
    # A job has a kind, which names its handler, and a payload, which has the handler's arguments.
    accepted = client.submit("email.send", {"to": "ada@example.com"})
    assert accepted["kind"] == "email.send"

    # As soon as the call has returned, the job is stored; a node runs it, and `wait` gives the job as it ended.
    job = client.wait(accepted["id"])
    assert job["status"] == "completed"
    assert job["result"] == "sent to ada@example.com"


def test_over_http(url, client):
    # Any language will do: a job is a POST of JSON.
    body = json.dumps({"kind": "email.send", "payload": {"to": "grace@example.com"}}).encode()
    with urlopen(Request(f"{url}/jobs", body, {"Content-Type": "application/json"})) as answer:
        assert answer.status == 201
        where = answer.headers["Location"]

    # `Location` is where the job can be looked at, from now until an hour after its end.
    job_id = where.removeprefix("/jobs/")
    client.wait(job_id)
    with urlopen(url + where) as answer:
        assert json.load(answer)["result"] == "sent to grace@example.com"


def test_on_the_command_line(ironforge):
    # The payload is JSON here, too; --wait prints the job as it ended, and exits with 0 if it completed.
    done = ironforge("submit", "email.send", '{"to": "alan@example.com"}', "--wait", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["result"] == "sent to alan@example.com"


async def test_straight_to_the_server(redis_url, monkeypatch, client):
    # Python code that shares the application's module needs no HTTP: it submits with the Forge itself.
    monkeypatch.setenv("IRONFORGE_REDIS_URL", redis_url)
    async with forge:
        job_id = await forge.submit(send, {"to": "edsger@example.com"})
    assert client.wait(job_id)["result"] == "sent to edsger@example.com"


def test_many_at_once(client):
    # All of them in one call, which is much quicker than one by one.
    ids = client.submit_many([{"kind": "email.send", "payload": {"to": f"{n}@example.com"}} for n in range(100)])
    assert [client.wait(job_id)["result"] for job_id in ids[:2]] == ["sent to 0@example.com", "sent to 1@example.com"]


def test_twice_is_once(client):
    # Nobody knows whether a call that broke has arrived: with an idempotency key it can be repeated.
    first = client.submit("email.send", {"to": "barbara@example.com"}, idempotency_key="welcome-barbara")
    again = client.submit("email.send", {"to": "barbara@example.com"}, idempotency_key="welcome-barbara")
    assert again["id"] == first["id"]
