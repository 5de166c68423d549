"""Huey: it has no bulk call; a consumer with threads, no results."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from huey import RedisHuey

from benchmarks.peers.kit import done, main


def _task(url: str) -> tuple[RedisHuey, Any]:
    huey = RedisHuey("bench", url=url, results=False)
    return huey, huey.task(name="noop")(done)


def submit(url: str, jobs: int) -> Iterator[None]:
    huey, noop = _task(url)
    huey.pending_count()
    yield
    for _ in range(jobs):
        noop()


def work(url: str, concurrency: str) -> None:
    logging.getLogger("huey").setLevel(logging.WARNING)
    huey, _noop = _task(url)
    huey.create_consumer(workers=int(concurrency), worker_type="thread", periodic=False).run()


if __name__ == "__main__":
    main(submit, work)
