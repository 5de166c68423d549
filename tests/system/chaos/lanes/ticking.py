"""Faults of what fires the ticks of schedules, and hurts no run: the API process, killed or paused; and a zone whose
clock is put forward or back.

Nodes, which fire them too, are hurt by their own lane.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Sequence

from tests.support.preload import clock_library
from tests.system.chaos.installation import Fault, Installation, Site

# Before and after the moment at which the zone's clock is put forward or back.
NEAR_SECONDS = 3.0


async def kill(here: Installation, rng: random.Random) -> Sequence[Site]:
    here.api.end(signal.SIGKILL)
    await asyncio.sleep(rng.uniform(0.0, 1.0))
    here.api.start()
    return ()


async def pause(here: Installation, rng: random.Random) -> Sequence[Site]:
    here.api.keep()
    here.api.send(signal.SIGSTOP)
    try:
        await asyncio.sleep(here.settings.lease_seconds * rng.uniform(0.5, 2.0))
    finally:
        here.api.send(signal.SIGCONT)
    return ()


async def cross(here: Installation, _: random.Random) -> Sequence[Site] | None:
    """The server's clock leaps to right before that moment, and goes on from there."""
    left = here.server.change_at - NEAR_SECONDS - (time.time() + here.server.ahead_seconds)
    if left < 0:  # it has gone past it
        return None
    here.server.ahead_seconds += left
    here.server.set_clock(0.0)
    await asyncio.sleep(2 * NEAR_SECONDS)
    return here.sites


FAULTS: dict[str, Fault] = {"api-kill": kill, "api-pause": pause}
CHANGES: dict[str, Fault] = {"clock-change": cross} if clock_library() else {}
