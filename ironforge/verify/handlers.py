"""The application that the nodes under test run: its one handler writes every run into the ledger."""

from __future__ import annotations

import asyncio
import os
from functools import cache
from pathlib import Path

from ironforge import Backoff, Context, Forge
from ironforge.verify.ledger import Ledger

LEDGER_FOLDER = "IRONFORGE_VERIFY_LEDGER"
KIND = "verify.work"

forge = Forge()


@cache
def ledger() -> Ledger:
    return Ledger(Path(os.environ[LEDGER_FOLDER]) / f"node-{os.getpid()}.ledger")


@forge.job(KIND, max_retries=5, backoff=Backoff(base_seconds=0.05, max_seconds=0.2))
async def work(context: Context, seconds: float = 0.0, failures: int = 0) -> int:
    """Returns the fence of its run, so that the accepted result names the run that it came from."""
    ledger().note("start", [context.id], fence=context.fence, pid=os.getpid())
    if seconds:
        await asyncio.sleep(seconds)
    if context.attempt <= failures:
        ledger().note("fail", [context.id], fence=context.fence, pid=os.getpid())
        raise RuntimeError(f"attempt {context.attempt} shall fail")
    ledger().note("end", [context.id], fence=context.fence, pid=os.getpid())
    return context.fence
