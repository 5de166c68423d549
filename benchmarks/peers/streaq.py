"""streaQ: `enqueue_many`, its pipelined bulk call; results kept for no time, which is fastest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from streaq import Worker

from benchmarks.peers.kit import chunks, done, main


def _worker(url: str, concurrency: int) -> tuple[Worker, Any]:
    worker = Worker(redis_url=url, concurrency=concurrency)

    @worker.task(ttl=0)
    async def noop() -> None:
        done()

    return worker, noop


async def submit(url: str, jobs: int) -> AsyncIterator[None]:
    worker, noop = _worker(url, 1)
    async with worker:
        yield
        for size in chunks(jobs, 500):
            await worker.enqueue_many([noop.enqueue() for _ in range(size)])


def work(url: str, concurrency: str) -> None:
    _worker(url, int(concurrency))[0].run_sync()


if __name__ == "__main__":
    main(submit, work)
