"""What the two sides of a peer need: a command line, and a tally of the jobs that have run.

Only the standard library: this runs in the peer's own environment. Every worker process appends to a file of its
own, one line a hundred jobs, so that counting costs nobody anything; the clock is the machine's monotonic one.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

TALLIES = "BENCH_TALLIES"
STEP = 100

_count = itertools.count(1)


def done() -> None:
    """One job has run; to be called by the handler, in any thread."""
    if next(_count) % STEP == 0:
        with Path(os.environ[TALLIES], str(os.getpid())).open("a", encoding="ascii") as tally:
            tally.write(f"{time.monotonic()} {STEP}\n")


def chunks(jobs: int, size: int) -> Iterator[int]:
    """Sizes of the batches that `jobs` are submitted in."""
    for start in range(0, jobs, size):
        yield min(size, jobs - start)


def main(
    submit: Callable[[str, int], Any], work: Callable[[str, str], Any], prepare: Callable[[str], Any] | None = None
) -> None:
    """`submit URL JOBS` prints the seconds that it took, connecting not counted; `work URL CONCURRENCY` runs on;
    `prepare URL` is called before both, with the fresh server.

    `submit` is an iterator or an async one: it yields once it is connected, and ends when all jobs are submitted.
    """
    command, url, *numbers = sys.argv[1:]
    if command == "prepare":
        if prepare:
            prepare(url)
        return
    (number,) = numbers
    if command == "work":
        work(url, number)
        return
    submission = submit(url, int(number))
    if inspect.isasyncgen(submission):
        seconds = _run(_timed_async(submission))
    else:
        next(submission)
        start = time.perf_counter()
        for _ in submission:
            pass
        seconds = time.perf_counter() - start
    print(seconds)


async def _timed_async(submission: Any) -> float:
    await anext(submission)
    start = time.perf_counter()
    async for _ in submission:
        pass
    return time.perf_counter() - start


def _run(coroutine: Any) -> Any:
    try:
        import uvloop  # noqa: PLC0415 - not every peer's environment has it
    except ImportError:
        return asyncio.run(coroutine)
    return uvloop.run(coroutine)


run = _run
