"""What goes on beside a block of code for as long as the block runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any


@contextlib.asynccontextmanager
async def in_background(forever: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Runs it in a task of this name, which is cancelled and has ended when the block is left."""
    task = asyncio.create_task(forever, name=name)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
