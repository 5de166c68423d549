"""What a run waits for: its nodes to join, and in the end everything to be over. A server that is away is waited for.

What was not reached in time shows in the verdict.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, NamedTuple, TypeVar

from ironforge.errors import StoreUnavailable
from ironforge.settings import Settings
from ironforge.store import StoreClient
from ironforge.verify.leftovers import orphan_consumers
from ironforge.verify.nodes import Nodes

JOIN_SECONDS: Final = 30.0
# A server that has much to do, on a machine that has as well.
ANSWER_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 0.1


T = TypeVar("T")


class Unfinished(NamedTuple):
    """`jobs`: that have not ended, and are not dead. `absent`: processes that have not joined. `dead`: nodes still
    known."""

    jobs: int
    absent: int = 0
    dead: int = 0


async def answered(ask: Callable[[], Awaitable[T]]) -> T:
    """The answer to what may be asked again. Raises StoreUnavailable when there was none for so long."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            return await ask()
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(LOOK_SECONDS)


async def joined(store_client: StoreClient, count: int) -> None:
    deadline = time.monotonic() + JOIN_SECONDS
    while time.monotonic() < deadline:
        with suppress(StoreUnavailable):
            if len(await store_client.inspector.nodes()) >= count:
                return
        await asyncio.sleep(LOOK_SECONDS)


async def drained(store_client: StoreClient, settings: Settings, nodes: Nodes, patience_seconds: float) -> None:
    """As `until_none` says, of jobs and nodes."""
    await until_none(lambda: _unfinished(store_client, settings, nodes), patience_seconds)


async def until_none(look: Callable[[], Awaitable[Unfinished]], patience_seconds: float) -> None:
    """Until nothing is unfinished, or nothing more has ended for so long.

    So a slow machine has the time that it needs, and what never ends is not waited for.
    """
    best, deadline = None, time.monotonic() + patience_seconds
    while True:
        with suppress(StoreUnavailable):
            left = await look()
            if not any(left):
                return
            if best is None or left < best:
                best = left
                deadline = time.monotonic() + (JOIN_SECONDS if left.absent else patience_seconds)
        if time.monotonic() > deadline:
            return
        await asyncio.sleep(LOOK_SECONDS)


async def unfinished_jobs(store_client: StoreClient, *, scheduled: bool = True) -> Unfinished:
    """`scheduled`: those as well."""
    stats = await store_client.inspector.stats()
    aside = stats.waiting.total + scheduled * stats.scheduled
    return Unfinished(aside + sum(depth.queued + depth.running for depth in stats.streams))


async def _unfinished(store_client: StoreClient, settings: Settings, nodes: Nodes) -> Unfinished:
    [jobs, *_] = await unfinished_jobs(store_client)
    known = Counter(int(node.name.split(".")[-2]) for node in await store_client.inspector.nodes())
    running = Counter(nodes.processes)
    return Unfinished(
        jobs, (running - known).total(), (known - running).total() + len(await orphan_consumers(settings))
    )
