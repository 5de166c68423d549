"""SAQ: it has no bulk call, so 100 `enqueue` at a time; results kept for no time, which is fastest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from saq import Queue, Worker

from benchmarks.peers.kit import chunks, done, main, run


async def noop(_context: Any) -> None:
    done()


async def submit(url: str, jobs: int) -> AsyncIterator[None]:
    queue = Queue.from_url(url)
    await queue.connect()
    yield
    for size in chunks(jobs, 100):
        await asyncio.gather(*(queue.enqueue("noop", ttl=-1) for _ in range(size)))
    await queue.disconnect()


async def _work(url: str, concurrency: int) -> None:
    await Worker(Queue.from_url(url), functions=[noop], concurrency=concurrency).start()


def work(url: str, concurrency: str) -> None:
    run(_work(url, int(concurrency)))


if __name__ == "__main__":
    main(submit, work)
