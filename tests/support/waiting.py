"""Waiting for what other tasks, processes and servers do, as long as a busy machine may take; reading their notes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 90.0


async def until(predicate: Callable[[], Any], what: str, *, look_seconds: float = 0.002) -> Any:
    """What `predicate` (plain or async) finds as soon as it holds; fails by name when it never does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = predicate()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        await asyncio.sleep(look_seconds)


def eventually(predicate: Callable[[], Any], what: str) -> Any:
    """The same for tests without a loop."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := predicate()):
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.01)
    return found


def whole_lines(path: Path) -> list[str]:
    """What other processes have written into a file so far, without the line that one is writing just now."""
    return path.read_text().split("\n")[:-1] if path.exists() else []
