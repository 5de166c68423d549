"""The node program that the fault tests start and hurt; its handlers write what they do to a ledger of their own."""

from __future__ import annotations

import asyncio
import os
import sys

from ironforge import Context, Forge
from ironforge.runtime.node import run_node

LEDGER = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
forge = Forge()


@forge.job("work")
async def work(context: Context, seconds: float = 0.0) -> int:
    note("start", context)
    await asyncio.sleep(seconds)
    note("end", context)
    return context.fence


@forge.job("order")
async def order(context: Context, steps: int) -> int:
    """Steps that each take a while, one after the other."""
    note("start", context)
    for number in range(steps):
        await context.step("part", part, context, number, key=number)
    note("end", context)
    return context.fence


async def part(context: Context, number: int) -> int:
    await asyncio.sleep(0.005)
    note(f"part{number}", context)
    return number


@forge.job("leave")
async def leave(context: Context) -> None:
    """Ends its process at the first run, and says that all is well."""
    note("start", context)
    if context.fence == 0:
        os._exit(0)
    await asyncio.sleep(300)


def note(what: str, context: Context) -> None:
    """One write of one line: it is in the file even if this process is killed in the next moment."""
    os.write(LEDGER, f"{what} {context.id} {context.fence} {os.getpid()}\n".encode())


if __name__ == "__main__":
    sys.exit(run_node(forge))
