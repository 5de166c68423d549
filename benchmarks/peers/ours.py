"""IronForge, measured in the same way: `submit_many` with 500 jobs a call; a node with all its features on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping

from benchmarks.peers.kit import chunks, done, main
from ironforge import Forge
from ironforge.runtime.node import run_node
from ironforge.settings import load

forge = Forge()


@forge.job("noop")
async def noop() -> None:
    done()


def run(forge: Forge, environment: Mapping[str, str]) -> None:
    """Both sides, for the one kind of `forge`."""
    [kind] = forge.kinds

    async def submit(url: str, jobs: int) -> AsyncIterator[None]:
        async with Forge(load(environment, redis_url=url)) as submitter:
            await submitter.submit_many("other", [None])
            yield
            for size in chunks(jobs, 500):
                await submitter.submit_many(kind, [None] * size)

    main(submit, worker(forge, environment))


def worker(forge: Forge, environment: Mapping[str, str]) -> Callable[[str, str], None]:
    """The side that works."""

    def work(url: str, concurrency: str) -> None:
        run_node(forge, load(environment, redis_url=url, concurrency=int(concurrency), log_level="warning"))

    return work


if __name__ == "__main__":
    run(forge, {})
