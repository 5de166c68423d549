"""How long a verification waits for the end: as long as one thing after the other ends."""

from __future__ import annotations

from ironforge.errors import StoreUnavailable
from ironforge.verify.waiting import Unfinished, until_none

# Less than passes between two looks.
PATIENCE_SECONDS = 0.01


async def looks_at(*counts: int) -> list[int]:
    """How many jobs were left, look by look; -1: the server was away."""
    left = iter(counts)
    seen: list[int] = []

    async def look() -> Unfinished:
        seen.append(next(left))
        if seen[-1] < 0:
            raise StoreUnavailable("it is away")
        return Unfinished(seen[-1])

    await until_none(look, PATIENCE_SECONDS)
    return seen


async def test_what_goes_on_is_waited_for_however_long_it_takes() -> None:
    assert await looks_at(3, 2, 1, 0) == [3, 2, 1, 0]


async def test_what_ends_no_more_is_not() -> None:
    assert await looks_at(3, 3, 0) == [3, 3]


async def test_nor_is_a_server_that_stays_away() -> None:
    assert await looks_at(3, -1, 0) == [3, -1]
