"""docket: `add_many` in pipelined chunks of its default size; one worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

from docket import Docket, Worker

from benchmarks.peers.kit import chunks, done, main, run


async def noop() -> None:
    done()


async def submit(url: str, jobs: int) -> AsyncIterator[None]:
    async with Docket(name="bench", url=url) as docket:
        docket.register(noop)
        yield
        for size in chunks(jobs, 1_000):
            await docket.add_many([docket.call(noop)() for _ in range(size)])


async def _work(url: str, concurrency: int) -> None:
    async with Docket(name="bench", url=url) as docket:
        docket.register(noop)
        # By default a worker looks for room every 250 ms, which would be all that is measured here.
        often = timedelta(milliseconds=1)
        async with Worker(docket, concurrency=concurrency, minimum_check_interval=often) as worker:
            await worker.run_forever()


def work(url: str, concurrency: str) -> None:
    run(_work(url, int(concurrency)))


if __name__ == "__main__":
    main(submit, work)
