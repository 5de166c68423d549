"""The kinds that `ironforge dev` runs: one for every way in which a job can go, and one that the clock starts.

    ironforge dev
    ironforge submit demo.flaky '{"failures": 2}'
    ironforge schedules show report.nightly

Copy it as the start of an application of your own: `ironforge node your_module:forge`.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ironforge import Context, Forge

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
