"""IronForge, measured in the same way: `submit_many` with 500 jobs a call; a node with all its features on."""

from __future__ import annotations

from collections.abc import AsyncIterator

from benchmarks.peers.kit import chunks, done, main
from ironforge import Forge
from ironforge.runtime.node import run_node
from ironforge.settings import load

forge = Forge()


@forge.job("noop")
async def noop() -> None:
    done()


async def submit(url: str, jobs: int) -> AsyncIterator[None]:
    async with Forge(load({}, redis_url=url)) as submitter:
        await submitter.submit_many("other", [None])
        yield
        for size in chunks(jobs, 500):
            await submitter.submit_many("noop", [None] * size)


def work(url: str, concurrency: str) -> None:
    run_node(forge, load({}, redis_url=url, concurrency=int(concurrency), log_level="warning"))


if __name__ == "__main__":
    main(submit, work)
