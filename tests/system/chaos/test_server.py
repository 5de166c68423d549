"""The server under test loses what the real thing would lose, and no more."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.asyncio

from tests.support.preload import clock_library, disk_library, needs
from tests.support.waiting import until
from tests.system.chaos.server import Server


@pytest.fixture
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    needs(disk_library(), "gcc libc6-dev")
    needs(clock_library(), "gcc libc6-dev")
    folder: Path = tmp_path_factory.mktemp("s")
    async with Server(folder / "server", moving_clock=True) as server:
        yield server


@pytest.mark.parametrize(("fsync", "kept"), [("always", b"2"), ("no", b"1")])
async def test_power_loss_takes_what_was_answered_but_not_synced(server: Server, fsync: str, kept: bytes) -> None:
    async with server.client() as client:
        await client.set("key", 1)
        await client.config_set("appendfsync", fsync)
        await client.set("big", bytes(10_000))  # more than the torn bytes that may stay
        await client.set("key", 2)

    lost = await server.power_loss(random.Random(1))
    await server.start()

    assert (lost > 9_000) == (fsync == "no")
    async with server.client() as client:
        assert await client.get("key") == kept


async def test_a_killed_server_has_what_was_not_synced(server: Server) -> None:
    """So a kill says nothing about the disk, and a loss of power is another fault."""
    async with server.client() as client:
        await client.config_set("appendfsync", "no")
        await client.set("key", 1)

    await server.end(signal.SIGKILL)
    await server.start()

    async with server.client() as client:
        assert await client.get("key") == b"1"


async def test_a_full_disk_ends_the_server_and_nothing_answered_is_lost(server: Server) -> None:
    async with server.client() as client:
        await client.set("key", 1)
        server.fill_disk()
        with pytest.raises(redis.ConnectionError):
            await client.set("key", 2)
    server.empty_disk()
    await server.end(signal.SIGKILL)
    await server.start()

    async with server.client() as client:
        assert await client.get("key") == b"1"


async def shows(client: redis.asyncio.Redis, ahead_seconds: int) -> None:
    """Until the server's clock is so far from the true one. A server may read its clock once a turn of its loop."""

    async def is_shown() -> bool:
        return abs((await client.time())[0] - time.time() - ahead_seconds) <= 5

    await until(is_shown, f"the clock to be {ahead_seconds} s ahead")


@pytest.mark.parametrize("leap_seconds", [3_600, -3_600])
async def test_its_wall_clock_leaps_and_its_timers_do_not(server: Server, leap_seconds: int) -> None:
    async with server.client() as client:
        begin = time.monotonic()
        server.set_clock(leap_seconds)
        await shows(client, leap_seconds)
        assert await client.ping()
        server.set_clock(0.0)
        await shows(client, 0)
        assert time.monotonic() - begin < 10
