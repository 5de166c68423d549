"""Looks at the counts all the time: at every moment each job that was submitted has ended or is in one of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from ironforge.errors import StoreUnavailable
from ironforge.process.background import in_background
from ironforge.store import Stats, StoreClient

LOOK_SECONDS: Final = 0.02
# Enough to show it: one bug may tear them at every look.
MOST_TOLD: Final = 10


@asynccontextmanager
async def observing(store_client: StoreClient) -> AsyncIterator[list[str]]:
    """What the looks found that does not add up, in words, while the block runs."""
    torn: list[str] = []
    async with in_background(_look(store_client, torn), "observer"):
        yield torn


async def _look(store_client: StoreClient, torn: list[str]) -> None:
    while len(torn) < MOST_TOLD:
        with suppress(StoreUnavailable):
            torn += imbalance(await store_client.inspector.stats())
        await asyncio.sleep(LOOK_SECONDS)


def imbalance(stats: Stats) -> list[str]:
    """Empty when every job is counted, and counted once."""
    submitted, completed, cancelled = (stats.totals[name] for name in ("submitted", "completed", "cancelled"))
    jobs_waiting = stats.waiting.total - stats.waiting.workflow
    alive = stats.scheduled + jobs_waiting + sum(depth.queued + depth.running for depth in stats.streams)
    if submitted == completed + cancelled + stats.dead + alive:
        return []
    ends = f"{completed} completed, {cancelled} cancelled and {stats.dead} dead"
    return [f"{submitted} jobs were submitted, {ends}, but {alive} were counted as alive"]
