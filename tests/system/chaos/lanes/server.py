"""Faults of the server: killed, restarted, paused, its scripts forgotten; its power, disk, memory or groups gone.

What ran while nobody could settle may run again. Who has no room for new jobs, or no scripts, still ends the old ones:
that explains no repeat.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Sequence

from ironforge.redis.keys import GROUP, Keys
from tests.support.preload import disk_library
from tests.system.chaos.installation import LOOK_SECONDS, Fault, Installation, Site

FULL_SECONDS = 3.0
FOUND_SECONDS = 30.0


async def kill(here: Installation, rng: random.Random) -> Sequence[Site]:
    return await _again(here, signal.SIGKILL, rng)


async def restart(here: Installation, rng: random.Random) -> Sequence[Site]:
    return await _again(here, signal.SIGTERM, rng)


async def _again(here: Installation, with_signal: signal.Signals, rng: random.Random) -> Sequence[Site]:
    await here.server.end(with_signal)
    await asyncio.sleep(rng.uniform(0.0, 1.0))
    await here.server.start()
    return here.sites


async def pause(here: Installation, rng: random.Random) -> Sequence[Site]:
    here.server.signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(here.settings.lease_seconds * rng.uniform(0.2, 1.5))
    finally:
        here.server.signal(signal.SIGCONT)
    return here.sites


async def flush_scripts(here: Installation, _: random.Random) -> Sequence[Site]:
    async with here.server.client() as client:
        await client.script_flush()
    return ()


async def lose_power(here: Installation, rng: random.Random) -> Sequence[Site]:
    await here.server.power_loss(rng)
    await asyncio.sleep(rng.uniform(0.0, 0.5))
    await here.server.start()
    return here.sites


async def fill_disk(here: Installation, _: random.Random) -> Sequence[Site]:
    """With `appendfsync always` a server that cannot write its AOF ends: better none than one that forgets."""
    here.server.fill_disk()
    deadline = time.monotonic() + FULL_SECONDS
    while here.server.running and time.monotonic() < deadline:
        await asyncio.sleep(LOOK_SECONDS)
    here.server.empty_disk()
    if not here.server.running:
        await here.server.end(signal.SIGKILL)
        await here.server.start()
    return here.sites


async def fill_memory(here: Installation, rng: random.Random) -> Sequence[Site]:
    async with here.server.client() as client:
        await client.config_set("maxmemory", 1_000_000)
        try:
            await asyncio.sleep(rng.uniform(0.5, FULL_SECONDS))
        finally:
            await client.config_set("maxmemory", 0)
    return ()


async def destroy_groups(here: Installation, _: random.Random) -> Sequence[Site]:
    """It is over when a node has found out: one that reads nothing, as all queues are paused, does not at once."""
    keys = Keys(here.settings.namespace)
    deadline = time.monotonic() + FOUND_SECONDS
    async with here.server.client() as client:
        streams = keys.streams(here.settings.queues)
        # At one moment: who misses one makes all of them.
        async with client.pipeline(transaction=True) as together:
            for stream in streams:
                together.xgroup_destroy(stream, GROUP)
            outcomes = await together.execute(raise_on_error=False)  # nothing may have needed a stream yet
        destroyed = [stream for stream, outcome in zip(streams, outcomes, strict=True) if outcome == 1]
        while time.monotonic() < deadline:
            if all([await client.xinfo_groups(stream) for stream in destroyed]):
                break
            await asyncio.sleep(LOOK_SECONDS)
    return here.sites


FAULTS: dict[str, Fault] = {
    "server-kill": kill,
    "server-restart": restart,
    "server-pause": pause,
    "script-flush": flush_scripts,
}
STORAGE_FAULTS: dict[str, Fault] = {"memory-full": fill_memory, "group-destroyed": destroy_groups}
if disk_library():
    STORAGE_FAULTS |= {"power-loss": lose_power, "disk-full": fill_disk}
