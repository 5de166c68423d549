"""IronForge: a job of recorded steps; `submit_many` with 500 jobs a call."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from benchmarks.peers.kit import chunks, done, main
from benchmarks.peers.steps import STEPS
from ironforge import Context, Forge
from ironforge.runtime.node import run_node
from ironforge.settings import load

forge = Forge()


async def _number(number: int) -> int:
    return number


@forge.job("steps")
async def steps(context: Context) -> None:
    for number in range(STEPS):
        await context.step(f"step-{number}", _number, number)
    done()


async def submit(url: str, jobs: int) -> AsyncIterator[None]:
    async with Forge(load(os.environ, redis_url=url)) as submitter:
        await submitter.submit_many("other", [None])
        yield
        for size in chunks(jobs, 500):
            await submitter.submit_many("steps", [None] * size)


def work(url: str, concurrency: str) -> None:
    run_node(forge, load(os.environ, redis_url=url, concurrency=int(concurrency), log_level="warning"))


if __name__ == "__main__":
    main(submit, work)
