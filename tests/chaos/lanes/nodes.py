"""Faults of nodes: killed, stopped, paused; and one that blocks its own event loop for longer than its lease."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

from ironforge.errors import StoreUnavailable
from ironforge.job import format_id, new_id
from tests.chaos.handlers import BLOCKING
from tests.chaos.installation import LOOK_SECONDS, Installation, Site

WAIT_SECONDS = 10.0


async def process(here: Installation, rng: random.Random) -> None:
    """Killed, stopped or paused: `Nodes` chooses, and notes it itself."""
    await rng.choice(here.sites).nodes.hurt(rng)


async def block_loop(here: Installation, rng: random.Random) -> Sequence[Site] | None:
    seconds = here.settings.lease_seconds * rng.uniform(1.1, 2.0)
    job = format_id(new_id())
    here.ids.append(job)
    try:
        await here.forge.submit(BLOCKING, {"seconds": seconds}, id=job)
    except StoreUnavailable:
        here.ledger.note("submit_info", [job])
        return None
    here.ledger.note("submit_ok", [job])
    site = await _where(here, job)
    if site is None:
        return None
    await asyncio.sleep(seconds)
    return [site]


async def _where(here: Installation, job: str) -> Site | None:
    """The node that runs it; None: it did not come to run, because others hurt the installation meanwhile."""
    deadline, wanted = time.monotonic() + WAIT_SECONDS, job.encode()
    while time.monotonic() < deadline:
        for site in here.sites:
            if any(wanted in path.read_bytes() for path in site.folder.glob("node-*.ledger")):
                return site
        await asyncio.sleep(LOOK_SECONDS)
    return None


FAULTS = {"process": process}
LOOP_FAULTS = {"block-loop": block_loop}
