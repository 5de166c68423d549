"""Lesson 2: write handlers: what they take, what they know of their job, and where they run."""

from __future__ import annotations

import os
import threading

import msgspec
import pytest

from ironforge import Context, Forge
from ironforge.errors import InvalidPayload
from tests.support.waiting import eventually

forge = Forge()


class Order(msgspec.Struct):
    number: int
    express: bool = False


@forge.job("order.ship")
async def ship(order: Order, context: Context) -> dict[str, object]:
    """One parameter of a type of its own takes the whole payload; `Context` brings what is known of this run."""
    context.logger.info("shipping", number=order.number)
    return {"number": order.number, "express": order.express, "attempt": context.attempt, "job": context.id}


@forge.job("invoice.print")
def print_invoice(number: int, copies: int = 1) -> str:
    """A plain function may block: it runs in a thread. Its parameters are the fields of the payload."""
    return f"{copies} of {number} in {threading.current_thread() is threading.main_thread()}"


@forge.job("report.render", executor="process")
def render(pages: int) -> list[int]:
    """What keeps a processor busy gets a process of its own, so that it holds up nothing else."""
    return [os.getpid(), sum(range(pages))]


@forge.job("where.am.i", timeout_seconds=30, max_retries=0, priority="high", queue="default")
async def where() -> int:
    """Options of the kind hold for each job that does not say otherwise."""
    return os.getpid()


def test_a_payload_becomes_the_handlers_own_type(client):
    # `express` is left out, so the handler gets its default.
    accepted = client.submit("order.ship", {"number": 7})
    job = client.wait(accepted["id"])
    assert job["result"] == {"number": 7, "express": False, "attempt": 1, "job": accepted["id"]}


def test_a_payload_that_does_not_fit_is_refused_with_the_reason(client):
    # Nodes announce what their handlers take, and within a second the API knows it.
    eventually(lambda: is_refused(client, {"number": "seven"}), "the API to know what the handler takes")
    with pytest.raises(InvalidPayload, match=r"payload\.number"):
        client.submit("order.ship", {"number": "seven"})


def is_refused(client, payload):
    try:
        client.submit("order.ship", payload)
    except InvalidPayload:
        return True
    return False


def test_a_plain_function_runs_in_a_thread(client):
    job = client.wait(client.submit("invoice.print", {"number": 7, "copies": 2})["id"])
    assert job["result"] == "2 of 7 in False"


def test_heavy_work_runs_in_a_process_of_its_own(client):
    node = client.wait(client.submit("where.am.i")["id"])["result"]
    process, total = client.wait(client.submit("report.render", {"pages": 100})["id"])["result"]
    assert total == 4950
    assert process != node
