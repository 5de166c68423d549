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
async def block(context: Context, seconds: float) -> int:
    """Holds up the event loop in its first run only: in every run it would be poison, and rightly end as that."""
    told, pid = ledger(), os.getpid()
    told.note("start", [context.id], fence=context.fence, pid=pid)
    if context.fence == 0:
        told.note("fault", name=BLOCK_LOOP, pid=pid)
        time.sleep(seconds)  # noqa: ASYNC251 - this is the fault
    told.note("end", [context.id], fence=context.fence, pid=pid)
    if context.fence == 0:  # after its own end: whatever ends next shows that the node has recovered
        told.note("healed", name=BLOCK_LOOP, pid=pid)
    return context.fence
