"""The application that the nodes under test run: that of `ironforge verify`, and a handler that blocks its node."""

from __future__ import annotations

import os
import time

from ironforge import Context
from ironforge.verify.handlers import forge, ledger

BLOCKING = "chaos.blocking"

__all__ = ["BLOCKING", "forge"]


@forge.job(BLOCKING)
async def block(context: Context, seconds: float) -> int:
    """Holds up the event loop in its first run only: in every run it would be poison, and rightly end as that."""
    ledger().note("start", [context.id], fence=context.fence, pid=os.getpid())
    if context.fence == 0:
        time.sleep(seconds)  # noqa: ASYNC251 - this is the fault
    ledger().note("end", [context.id], fence=context.fence, pid=os.getpid())
    return context.fence
