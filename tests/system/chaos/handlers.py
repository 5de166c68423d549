"""The application that the nodes under test run: that of `ironforge verify`, and a handler that blocks its node."""

from __future__ import annotations

import os
import time

from ironforge import Context
from ironforge.verify.handlers import forge, ledger

BLOCKING = "chaos.blocking"
BLOCK_LOOP = "block-loop"

__all__ = ["BLOCKING", "BLOCK_LOOP", "forge"]


@forge.job(BLOCKING)
async def block(context: Context, seconds: float, always: bool = False) -> int:
    """Holds up the event loop in its first run only; `always`: in every run, and rightly ends as poison."""
    told, pid, blocks = ledger(), os.getpid(), always or context.fence == 0
    told.note("start", [context.id], fence=context.fence, pid=pid)
    if blocks:
        told.note("fault", name=BLOCK_LOOP, pid=pid, by=context.id if always else "", fence=context.fence)
        time.sleep(seconds)  # noqa: ASYNC251 - this is the fault
    told.note("end", [context.id], fence=context.fence, pid=pid)
    if blocks:  # after its own end: whatever ends next shows that the node has recovered
        told.note("healed", name=BLOCK_LOOP, pid=pid)
    return context.fence
