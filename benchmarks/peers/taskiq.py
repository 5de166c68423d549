"""taskiq with the stream broker of taskiq-redis, the one that acknowledges; it has no bulk call, so 100 at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

from benchmarks.peers.kit import chunks, done, main, run


async def noop() -> None:
    done()


def _broker(url: str) -> tuple[RedisStreamBroker, Any]:
    broker = RedisStreamBroker(url, consumer_id="0")
    return broker, broker.register_task(noop, "noop")


async def submit(url: str, jobs: int) -> AsyncIterator[None]:
    broker, task = _broker(url)
    await broker.startup()
    yield
    for size in chunks(jobs, 100):
        await asyncio.gather(*(task.kiq() for _ in range(size)))
    await broker.shutdown()


async def _work(url: str, concurrency: int) -> None:
    broker, _task = _broker(url)
    broker.is_worker_process = True
    await run_receiver_task(broker, max_async_tasks=concurrency, max_prefetch=concurrency, run_startup=True)


def work(url: str, concurrency: str) -> None:
    run(_work(url, int(concurrency)))


if __name__ == "__main__":
    main(submit, work)
