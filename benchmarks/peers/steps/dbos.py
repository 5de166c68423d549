"""DBOS on PostgreSQL: a workflow of recorded steps, from one of its queues; its client submits several at once."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator

from dbos import DBOS, DBOSClient

from benchmarks.peers.kit import chunks, done, main
from benchmarks.peers.steps import STEPS

QUEUE = "bench"
AT_ONCE = 20


@DBOS.step()
async def step(number: int) -> int:
    return number


@DBOS.workflow()
async def workflow() -> None:
    for number in range(STEPS):
        await step(number)
    done()


async def submit(url: str, jobs: int) -> AsyncIterator[None]:
    client = DBOSClient(system_database_url=url, system_database_pool_size=AT_ONCE)
    # A worker that starts makes the tables and the queue; here it takes nothing yet.
    yield
    options = {"queue_name": QUEUE, "workflow_name": workflow.__qualname__}
    for size in chunks(jobs, AT_ONCE):
        await asyncio.gather(*(client.enqueue_async(options) for _ in range(size)))


def work(url: str, concurrency: str) -> None:
    DBOS(config={"name": "bench", "system_database_url": url, "executor_id": str(os.getpid())})
    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=int(concurrency), polling_interval_sec=0.1)
    threading.Event().wait()


def prepare(url: str) -> None:
    DBOS(config={"name": "bench", "system_database_url": url})
    DBOS.launch()
    DBOS.register_queue(QUEUE)
    DBOS.destroy()


if __name__ == "__main__":
    main(submit, work, prepare)
