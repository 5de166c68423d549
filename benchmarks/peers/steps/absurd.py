"""Absurd on PostgreSQL: a task of recorded steps; its asynchronous worker, which has one connection, and its client."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

from absurd_sdk import AsyncAbsurd

from benchmarks.peers.kit import done, main
from benchmarks.peers.steps import STEPS

QUEUE = "bench"


async def _number(number: int) -> int:
    return number


async def _steps(_params: Any, context: Any) -> None:
    for number in range(STEPS):
        await context.step(f"step-{number}", partial(_number, number))
    done()


async def submit(url: str, jobs: int) -> AsyncIterator[None]:
    client = AsyncAbsurd(url, queue_name=QUEUE)
    client.register_task("steps")(_steps)
    await client.list_queues()
    yield
    for _ in range(jobs):
        await client.spawn("steps", None)
    await client.close()


def work(url: str, concurrency: str) -> None:
    app = AsyncAbsurd(url, queue_name=QUEUE)
    app.register_task("steps")(_steps)
    asyncio.run(app.start_worker(concurrency=int(concurrency)))


def prepare(url: str) -> None:
    command = str(Path(sys.executable).with_name("absurdctl"))
    subprocess.run([command, "init", "-d", url], check=True, stdout=sys.stderr)
    subprocess.run([command, "create-queue", "-d", url, QUEUE], check=True, stdout=sys.stderr)


if __name__ == "__main__":
    main(submit, work, prepare)
