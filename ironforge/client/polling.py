"""Waits until a job or a workflow has ended, by looking again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet
from typing import Final

from ironforge.client.transport import Json, Transport, member
from ironforge.errors import WaitTimeout

FIRST_POLL_SECONDS: Final = 0.02
LONGEST_POLL_SECONDS: Final = 1.0


async def until_ended(http: Transport, path: str, what: str, ended: AbstractSet[str], timeout_seconds: float) -> Json:
    """What is at this path, once its `status` is one of these. Raises WaitTimeout, which names `what` it is."""
    pause = FIRST_POLL_SECONDS
    try:
        async with asyncio.timeout(timeout_seconds):
            while True:
                found = await http.call("GET", path)
                if member(found, "status", str) in ended:
                    return found
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, LONGEST_POLL_SECONDS)
    except TimeoutError:
        raise WaitTimeout(f"{what} has not ended within {timeout_seconds:g} s; it goes on") from None
