"""Faults of clocks: the server's wall clock, and that of one node, leap there and back again.

Leases are the server's time, so a node's clock explains no repeat.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from tests.support.preload import clock_library, set_clock
from tests.system.chaos.installation import Fault, Installation, Site

LONGEST_LEAP_SECONDS = 3_600.0


async def leap_of_server(here: Installation, rng: random.Random) -> Sequence[Site]:
    here.server.set_clock(_leap(here, rng))
    await asyncio.sleep(rng.uniform(0.2, 2.0))
    here.server.set_clock(0.0)
    # Until every node has renewed its lease by the right time, the wrong one may still name it dead.
    await asyncio.sleep(here.settings.lease_seconds)
    return here.sites


async def let_time_pass(here: Installation, _: random.Random) -> Sequence[Site]:
    here.server.set_clock(2 * LONGEST_LEAP_SECONDS)
    await asyncio.sleep(here.settings.lease_seconds)
    return here.sites


async def leap_of_node(here: Installation, rng: random.Random) -> Sequence[Site]:
    (clock,) = (site.clock for site in here.sites if site.clock)
    set_clock(clock, _leap(here, rng))
    await asyncio.sleep(rng.uniform(0.2, 2.0))
    set_clock(clock, 0.0)
    return ()


def _leap(here: Installation, rng: random.Random) -> float:
    """By more than a lease, up to an hour."""
    return rng.choice((-1, 1)) * rng.uniform(here.settings.lease_seconds, LONGEST_LEAP_SECONDS)


FAULTS: dict[str, Fault] = {"server-clock": leap_of_server, "node-clock": leap_of_node} if clock_library() else {}
