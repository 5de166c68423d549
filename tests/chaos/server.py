"""The server under test, and its faults: killed, restarted in order, stopped for a while, its scripts forgotten.

Every fault is a pair: when `hurt` returns, the server is whole again.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from pathlib import Path

import msgspec
import redis.asyncio

from ironforge.embedded import EmbeddedServer
from ironforge.verify.ledger import Event, Ledger
from ironforge.verify.nodes import UNSETTLED_SECONDS

FAULTS = ("server-kill", "server-restart", "server-pause", "script-flush")


class Server:
    def __init__(self, server: EmbeddedServer, folder: Path, ledger: Ledger, lease_seconds: float) -> None:
        self._server = server
        self._folder = folder
        self._ledger = ledger
        self._lease_seconds = lease_seconds
        self.url = server.url

    async def hurt(self, rng: random.Random) -> None:
        name = rng.choice(FAULTS)
        begin = time.monotonic()
        self._ledger.note("fault_begin", name=name)
        if name == "script-flush":
            async with redis.asyncio.Redis.from_url(self.url) as client:
                await client.script_flush()
        elif name == "server-pause":
            await self._pause(self._lease_seconds * rng.uniform(0.2, 1.5))
        else:
            await self._again(kill=name == "server-kill", away_seconds=rng.uniform(0.0, 1.0))
        # Whatever ran while nobody could settle may run again, so it is counted once the server is back.
        held = 0 if name == "script-flush" else await asyncio.to_thread(in_flight, self._folder, begin)
        self._ledger.note("fault", name=name, in_flight=held)

    async def _pause(self, seconds: float) -> None:
        process = self._process()
        os.kill(process, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(process, signal.SIGCONT)

    async def _again(self, *, kill: bool, away_seconds: float) -> None:
        if kill:
            os.kill(self._process(), signal.SIGKILL)
        await asyncio.to_thread(self._server.stop)
        await asyncio.sleep(away_seconds)
        await asyncio.to_thread(self._server.start)

    def _process(self) -> int:
        assert self._server._process is not None
        return self._server._process.pid


def in_flight(folder: Path, begin: float) -> int:
    """How many runs, on all nodes, were not surely settled when a fault began, or started during it."""
    count = 0
    decode = msgspec.json.Decoder(Event).decode
    for path in folder.glob("node-*.ledger"):
        held: set[str] = set()
        for line in path.read_bytes().splitlines():
            try:
                event = decode(line)
            except msgspec.MsgspecError:
                continue
            if event.what == "start":
                held.add(event.job)
            elif event.at < begin - UNSETTLED_SECONDS:
                held.discard(event.job)
        count += len(held)
    return count
