"""A node program in two versions, by its argument: the second one knows a kind more, a field more of another one, and
needs a field more of a third. A fourth has another priority, a limit another concurrency, and a schedule another day. A
third version is the second one without the schedule.

What a node declines it writes into the ledger as well.
"""

from __future__ import annotations

import asyncio
import os
import sys

from ironforge import Backoff, Context, Forge
from ironforge.actors.outcome_reporter import OutcomeReporter
from ironforge.job.record import decode
from ironforge.runtime.node import run_node
from ironforge.store import Delivery

LEDGER = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
decline = OutcomeReporter.declined
forge = Forge()


def note(what: str, job_id: str, fence: int) -> None:
    os.write(LEDGER, f"{what} {job_id} {fence} {os.getpid()}\n".encode())


def declined(self: OutcomeReporter, delivered: Delivery) -> None:
    job = decode(delivered[2])
    note("declined", job.text_id, job.fence)
    decline(self, delivered)


async def run(context: Context) -> int:
    note("start", context.id, context.fence)
    await asyncio.sleep(0.002)
    return context.fence


async def old(context: Context, n: int) -> int:
    return await run(context)


async def old_with_more(context: Context, n: int, text: str = "") -> int:
    return await run(context)


async def grown(context: Context, n: int) -> int:
    return await run(context)


async def grown_with_more(context: Context, n: int, text: str) -> int:
    return await run(context)


async def moved(context: Context, n: int) -> int:
    return await run(context)


async def new(context: Context, n: int) -> int:
    return await run(context)


if __name__ == "__main__":
    OutcomeReporter.declined = declined  # type: ignore[method-assign]
    grows = forge.job("grown", max_retries=100, backoff=Backoff(base_seconds=0.02, max_seconds=0.1))
    forge.limit("pace", concurrency=int(sys.argv[1]))
    if sys.argv[1] != "3":
        forge.schedule("yearly", "moved", {"n": 1}, cron=f"0 0 {sys.argv[1]} 1 *")
    if sys.argv[1] == "1":
        forge.job("old")(old)
        forge.job("moved", priority="low")(moved)
        grows(grown)
    else:
        grows(grown_with_more)
        forge.job("moved", priority="high")(moved)
        forge.job("old")(old_with_more)
        forge.job("new")(new)
    sys.exit(run_node(forge))
