"""The kinds that `ironforge dev` runs: one for every way in which a job can go, one that the clock starts, an order
that waits for somebody's approval, and those of the workflows that `ironforge.examples.submit_workflows` submits.

    ironforge dev
    ironforge submit demo.flaky '{"failures": 2}'
    ironforge schedules show report.nightly
    ironforge submit order.fulfil '{"order": "42", "cents": 1999}'
    ironforge events send approved:42 '{"by": "ada"}'

Copy it as the start of an application of your own: `ironforge node your_module:forge`.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ironforge import Context, Discard, EventTimeout, Forge

forge = Forge()


@forge.job("email.send")
async def send_email(context: Context, payload: Any) -> dict[str, Any]:
    """Stands for a call to a mail service: it logs, and takes whatever the message has."""
    to = payload.get("to") if isinstance(payload, dict) else None
    context.logger.info("email sent", to=to)
    return {"sent_to": to}


@forge.cron("0 3 * * *", timezone="Europe/Berlin")
@forge.job("report.nightly")
async def report(context: Context) -> str:
    """Stands for one on the day before; `ironforge schedules trigger report.nightly` does not wait for the night."""
    day = (context.tick_at or datetime.now(UTC)).astimezone(ZoneInfo("Europe/Berlin")).date() - timedelta(days=1)
    return f"report of {day}"


@forge.job("order.fulfil")
async def fulfil(context: Context, order: str, cents: int = 1999, approve_within_seconds: float = 86_400) -> str:
    """Charges, ships what is approved, pays back what is not. Each of that is recorded once, whatever is restarted or
    tried again, and no worker is busy while nobody answers."""
    charge = await context.step("charge", charge_card, order, cents, context.step_key("charge"))
    try:
        approval = await context.event(f"approved:{order}", timeout_seconds=approve_within_seconds)
    except EventTimeout:
        paid = await context.step("refund", pay_back, charge)
        return f"{paid} were paid back: nobody has approved order {order}"
    await context.sleep("regret", timedelta(seconds=1))
    parcel = await context.step("ship", ship, order)
    return f"{parcel} is on its way, as {approval['by']} has approved"


async def charge_card(order: str, cents: int, key: str) -> dict[str, Any]:
    """Stands for a call to a payment service, which charges once for a key."""
    return {"order": order, "cents": cents, "key": key}


async def pay_back(charge: dict[str, Any]) -> str:
    """Stands for another one."""
    return f"{charge['cents']} cents"


async def ship(order: str) -> str:
    return f"the parcel of order {order}"


@forge.job("order.charge", max_retries=3)
async def charge(context: Context, order: str, cents: int = 1999) -> dict[str, Any]:
    """The order once more, as a workflow: each of its parts is a job, and this one is undone if a later one fails."""
    return await charge_card(order, cents, context.idempotency_key)


@forge.job("order.refund", max_retries=10)
async def refund(payload: Any) -> str:
    """Undoes `order.charge`: `{"workflow", "node", "payload", "result"}` of that."""
    return f"{await pay_back(payload['result'])} were paid back"


@forge.job("order.approve")
async def approve(context: Context, order: str, within_seconds: float = 86_400) -> Any:
    try:
        return await context.event(f"approved:{order}", timeout_seconds=within_seconds)
    except EventTimeout:
        raise Discard(f"nobody has approved order {order}") from None


@forge.job("order.ship", max_retries=3)
async def send(order: str, approved_by: str) -> str:
    return f"{await ship(order)} is on its way, as {approved_by} has approved"


@forge.job("photo.fetch", max_retries=3)
async def fetch(url: str) -> dict[str, str]:
    """Stands for a download."""
    return {"file": url.rsplit("/", 1)[-1]}


@forge.job("photo.scale", executor="process")
def scale(file: str, width: int) -> str:
    """Stands for work that keeps a core busy."""
    return f"{width}/{file}"


@forge.job("album.merge")
async def merge(pages: list[str]) -> dict[str, Any]:
    return {"pages": pages, "count": len(pages)}


@forge.job("demo.echo")
async def echo(payload: Any) -> Any:
    return payload


@forge.job("demo.noop")
async def noop() -> None:
    """What remains is the cost of IronForge itself."""


@forge.job("demo.sleep")
async def sleep(seconds: float = 1.0) -> float:
    await asyncio.sleep(seconds)
    return seconds


@forge.job("demo.fail")
async def fail(message: str = "this job always fails") -> None:
    raise RuntimeError(message)


@forge.job("demo.flaky")
async def flaky(context: Context, failures: int = 2) -> str:
    """Fails so many times, then completes."""
    if context.attempt <= failures:
        raise ConnectionError(f"attempt {context.attempt} fails, {failures} will")
    return f"completed at attempt {context.attempt}"


@forge.job("demo.cpu", executor="process")
def count_primes(below: int = 100_000) -> int:
    """Keeps a core busy, in a process of its own, and the node's event loop free."""
    if below < 3:
        return 0
    sieve = bytearray([1]) * below
    sieve[:2] = b"\0\0"
    for number in range(2, int(below**0.5) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, below, number)))
    return sum(sieve)


@forge.job("demo.blocking")
def block(context: Context, seconds: float = 1.0) -> str:
    """A plain function runs in a thread; it looks itself whether it shall stop."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if context.cancel_requested:
            return "stopped early"
        time.sleep(min(left, 0.05))
    return f"blocked for {seconds:g} s"
