"""Unique keys: what a job holds so that there is no second one like it while it waits, until its end, or for a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, Literal

import msgspec

MAX_WINDOW_SECONDS: Final = 365 * 86_400.0
MAX_WINDOW_MS: Final = round(MAX_WINDOW_SECONDS * 1000)

# How long the key is held: until the job starts, until it ends or is dead, or for its time alone.
Holding = Literal["queued", "unfinished", ""]
OnConflict = Literal["return", "reject", "replace", "debounce"]
WindowMs = Annotated[int, msgspec.Meta(ge=0, le=MAX_WINDOW_MS)]


class UniqueUse(msgspec.Struct, array_like=True, frozen=True):
    """The unique key that a job holds. Keys of different kinds are different ones, as with most schedulers.

    `for_ms`: at most so long, from the submission on; 0: no time. `max_wait_ms`: how long later submissions may put off
    the start of a debounced job, from its creation on; 0: without an end.
    """

    key: str
    holding: Holding = "unfinished"
    for_ms: WindowMs = 0
    on_conflict: OnConflict = "return"
    max_wait_ms: WindowMs = 0


class JobIds(list[str]):
    """The ids of jobs that were submitted together, one for each, in their order.

    `deduplicated`: the indexes of those that were not stored, as a job with their unique key was there; its id stands
    there.
    """

    def __init__(self, ids: Iterable[str] = (), deduplicated: Iterable[int] = ()) -> None:
        super().__init__(ids)
        self.deduplicated = [*deduplicated]


def held_key(kind: str, unique: UniqueUse | None) -> str:
    """The key that the end of the job releases, as its name in the server goes on; empty when it holds none."""
    return f"{kind}:{unique.key}" if unique is not None and unique.holding else ""
