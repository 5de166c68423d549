"""Looking several times: what is just about to change is seen once, and is no finding."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

LOOKS: Final = 3

T = TypeVar("T")


async def seen_every_time(look: Callable[[], Awaitable[list[T]]]) -> list[T]:
    """Raises what `look` raises."""
    seen = await look()
    for _ in range(LOOKS - 1):
        if seen:
            again = set(await look())
            seen = [one for one in seen if one in again]
    return seen
