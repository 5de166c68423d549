"""Do callers notice that 2,000 others hold slow connections? p99 of POST /jobs with and without them, in one run.

The slow ones send a request's head at one byte a second, from a process of their own, and come back whenever they are
turned away. The measured ones are open-loop: a request's clock starts when it was due.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import uvloop

from benchmarks import harness
from benchmarks.http import JOB, free_port, serving
from ironforge.api.connection_limits import HEAD_SECONDS
from ironforge.settings import Settings

RATE = 200
SETTLE_SECONDS = HEAD_SECONDS + 1.0


async def _hold(port: int) -> None:
    """One slow caller, for as long as the process lives. They do not all begin, and end, in the same moment."""
    await asyncio.sleep(random.uniform(0, HEAD_SECONDS))
    while True:
        with contextlib.suppress(OSError, RuntimeError):  # uvloop says the latter when the server has hung up
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST /jobs HTTP/1.1\r\nX-Slow: ")
            turned_away = False
            while not turned_away:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 1.0)
                    turned_away = True
                writer.write(b"a")
            writer.close()


async def _hold_all(port: int, sockets: int) -> None:
    await asyncio.gather(*(_hold(port) for _ in range(sockets)))


@contextlib.contextmanager
def _beside(sockets: int, port: int) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.slow_clients", str(port), str(sockets)])
    try:
        time.sleep(SETTLE_SECONDS)
        yield
    finally:
        process.terminate()
        process.wait(30)


async def _measure(port: int, seconds: float) -> list[float]:
    """How long each POST took, in ms, in order."""
    url = f"http://127.0.0.1:{port}/jobs"
    took: list[float] = []

    async def one(session: aiohttp.ClientSession, due: float) -> None:
        async with session.post(url, json=JOB) as answer:
            await answer.read()
            if answer.status != 201:
                raise RuntimeError(f"a normal caller was refused: {answer.status}")
        took.append((time.perf_counter() - due) * 1000)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session, asyncio.TaskGroup() as group:
        start = time.perf_counter()
        for number in range(int(seconds * RATE)):
            due = start + number / RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(session, due))
    return sorted(took)


async def _once(settings: Settings, seconds: float, sockets: int) -> dict[str, float]:
    port = free_port()
    environment = {"IRONFORGE_REDIS_URL": settings.redis_url, "IRONFORGE_LOG_LEVEL": "error"}
    with serving(["-m", "ironforge", "api", "--port", str(port)], port, environment):
        await _measure(port, 1.0)  # warm
        alone = await _measure(port, seconds)
        with _beside(sockets, port):
            beside = await _measure(port, seconds)
    figures = {}
    for percent in (50, 99):
        figures[f"p{percent} alone, ms"] = harness.percentile(alone, percent)
        figures[f"p{percent} beside slow ones, ms"] = harness.percentile(beside, percent)
    figures["p99 ratio"] = harness.percentile(beside, 99) / harness.percentile(alone, 99)
    return figures


async def run(*, repeats: int = 3, seconds: float = 10.0, sockets: int = 2_000, **flags: Any) -> dict[str, Any]:
    """Milliseconds from when a request was due until its answer was read; `p99 ratio` compares within a run."""
    runs: list[dict[str, float]] = []
    for _ in range(repeats):
        with harness.server(**flags) as settings:
            runs.append(await _once(settings, seconds, sockets))
    figures = {name: harness.spread([one[name] for one in runs]) for name in runs[0]}
    return {"unit": "ms", "rate": RATE, "slow_sockets": sockets, "figures": figures}


if __name__ == "__main__":
    os.nice(19)  # in the world they have machines of their own: their work shall not cost the API its processor
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_hold_all(int(sys.argv[1]), int(sys.argv[2])))
    os._exit(0)
