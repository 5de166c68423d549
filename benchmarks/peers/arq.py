"""arq: it has no bulk call, so 100 `enqueue_job` at a time; results kept for no time, polled as often as it can."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker

from benchmarks.peers.kit import chunks, done, main, run


async def noop(_context: Any) -> None:
    done()


async def submit(url: str, jobs: int) -> AsyncIterator[None]:
    pool = await create_pool(RedisSettings.from_dsn(url))
    yield
    for size in chunks(jobs, 100):
        await asyncio.gather(*(pool.enqueue_job("noop") for _ in range(size)))
    await pool.aclose()


async def _work(url: str, concurrency: int) -> None:
    settings = RedisSettings.from_dsn(url)
    await Worker([noop], redis_settings=settings, max_jobs=concurrency, poll_delay=0.01, keep_result=0).async_run()


def work(url: str, concurrency: str) -> None:
    run(_work(url, int(concurrency)))


if __name__ == "__main__":
    main(submit, work)
