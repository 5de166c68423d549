"""Lesson 10: do several things in one job, each once, and wait without a worker."""

from __future__ import annotations

from ironforge import Context, EventTimeout, Forge
from tests.support.waiting import eventually

forge = Forge()
charged: list[str] = []


async def charge_card(order: str, key: str) -> str:
    # The key is the same in each run: a service that knows it charges once, also if this node dies right here.
    charged.append(order)
    return f"charge {charged.count(order)} of order {order}"


@forge.job("order.fulfil", max_retries=3)
async def fulfil(order: str, context: Context) -> str:
    charge = await context.step("charge", charge_card, order, context.step_key("charge"))
    if context.attempt == 1:
        raise ConnectionError("the network is down")
    try:
        # The job leaves its node here. It runs again, from the top, once somebody has sent the event.
        approval = await context.event(f"approved:{order}", timeout_seconds=86_400)
    except EventTimeout:
        return f"{charge}, paid back"
    await context.sleep("regret", 0.01)
    return f"{charge}, approved by {approval['by']}"


def test_a_step_is_done_once_and_the_job_waits(client):
    job_id = client.submit("order.fulfil", {"order": "42"})["id"]
    waiting = eventually(lambda: (found := client.get(job_id))["status"] == "waiting" and found, "the job to wait")
    assert waiting["waiting_for"]["code"] == "event"

    assert client.send_event("approved:42", {"by": "ada"})["first"] is True
    job = client.wait(job_id)
    # The first attempt failed after the charge: the second one has not charged again.
    assert job["result"] == "charge 1 of order 42, approved by ada"


def test_an_event_may_come_first(client, ironforge):
    assert ironforge("events", "send", "approved:43", '{"by": "grace"}').returncode == 0
    job = client.wait(client.submit("order.fulfil", {"order": "43"})["id"])
    assert job["result"] == "charge 1 of order 43, approved by grace"


def test_the_journal_can_be_looked_at(client, ironforge):
    client.send_event("approved:44", {"by": "joan"})
    job_id = client.submit("order.fulfil", {"order": "44"})["id"]
    client.wait(job_id)
    assert "regret" in ironforge("jobs", "show", job_id).stdout
