"""Faults of nodes: killed, stopped, paused; and jobs that block the event loop, once or always, or kill their node."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping

from ironforge.errors import StoreUnavailable
from ironforge.job.record import format_id, new_id
from ironforge.verify.handlers import KILLER
from tests.system.chaos.handlers import BLOCK_LOOP, BLOCKING
from tests.system.chaos.installation import LOOK_SECONDS, Installation

WAIT_SECONDS = 10.0


async def process(here: Installation, rng: random.Random) -> None:
    """Killed, stopped or paused: `Nodes` chooses, and notes it itself."""
    await rng.choice(here.sites).nodes.hurt(rng)


async def block_loop(here: Installation, rng: random.Random) -> None:
    """The handler notes it itself: the job may come to run when nobody waits for it any longer."""
    seconds = here.settings.lease_seconds * rng.uniform(1.1, 2.0)
    job = await _submit(here, BLOCKING, {"seconds": seconds})
    if job and await _started(here, job):
        await asyncio.sleep(seconds)


async def block_every_loop(here: Installation, rng: random.Random) -> None:
    """Of each node that runs this job, until it is buried."""
    seconds = here.settings.lease_seconds * rng.uniform(1.5, 2.0)
    await _submit(here, BLOCKING, {"seconds": seconds, "always": True})


async def kill_every_node(here: Installation, _: random.Random) -> None:
    """That runs this job, until it is buried."""
    await _submit(here, KILLER, {})


async def _submit(here: Installation, kind: str, payload: Mapping[str, float]) -> str | None:
    """The job; None when nobody knows whether there is one."""
    job = format_id(new_id())
    here.ids.append(job)
    try:
        await here.forge.submit(kind, payload, id=job)
    except StoreUnavailable:
        here.ledger.note("submit_info", [job])
        return None
    here.ledger.note("submit_ok", [job])
    return job


async def _started(here: Installation, job: str) -> bool:
    """Soon, that is; others may hurt the installation meanwhile, or it is busy."""
    deadline, wanted = time.monotonic() + WAIT_SECONDS, job.encode()
    while time.monotonic() < deadline:
        for site in here.sites:
            if any(wanted in path.read_bytes() for path in site.folder.glob("node-*.ledger")):
                return True
        await asyncio.sleep(LOOK_SECONDS)
    return False


FAULTS = {"process": process}
LOOP_FAULTS = {BLOCK_LOOP: block_loop}
GUILTY = {"node-killer": kill_every_node, "loop-blocker": block_every_loop}
