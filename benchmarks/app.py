"""The handlers that the benchmarks run: as close to nothing as a handler can be."""

from __future__ import annotations

import asyncio
import random
import time

import msgspec

from ironforge import Context, Forge

forge = Forge()


@forge.job("bench.noop")
async def noop() -> None:
    """Returns at once: what remains is the cost of IronForge itself."""


@forge.job("bench.clock")
async def clock() -> int:
    """Returns when it started, in nanoseconds of the wall clock, which all processes of a machine share."""
    return time.time_ns()


class Mail(msgspec.Struct):
    """What the typed handler is given."""

    to: str
    subject: str


@forge.job("bench.typed")
async def typed(mail: Mail) -> None:
    """Its payload is checked and turned into an object."""


@forge.job("bench.thread")
def in_thread() -> None:
    """Runs in a thread."""


@forge.job("bench.log")
async def logging(context: Context) -> None:
    """Writes one line."""
    context.logger.info("ran")


@forge.job("bench.pause")
async def pause() -> int:
    """Waits as if for another service; returns when it ended, in nanoseconds of the wall clock."""
    await asyncio.sleep(random.uniform(0.01, 0.03))
    return time.time_ns()


@forge.job("bench.steps")
async def with_steps(steps: int, context: Context) -> list[float]:
    """Steps that do nothing; returns what each took, in milliseconds."""
    taken = []
    for number in range(steps):
        begun = time.perf_counter()
        await context.step("nothing", noop, key=number)
        taken.append((time.perf_counter() - begun) * 1000)
    return taken


@forge.job("bench.list")
async def numbers(length: int) -> list[int]:
    """Returns so many numbers."""
    return list(range(length))


@forge.job("bench.sleep")
async def sleep(context: Context) -> None:
    """Waits for a month, in no node."""
    await context.sleep("month", 30 * 86_400)


@forge.job("bench.forever")
async def forever() -> None:
    """Never ends by itself."""
    await asyncio.Event().wait()
