"""Keeps large bodies from hurting everybody else: how much of them one process holds at a time, and for how long one
of them may keep the event loop before others have their turn.

Small bodies, nearly all of them, never come here.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from typing import Final, TypeVar

from aiohttp import web

from ironforge.api.problems import ApiProblem
from ironforge.auth.caller import Caller

T = TypeVar("T")

_EVERYBODY: Final = ""
_LIMITS: Final = (
    (429, "the bodies that this caller has under way", 32 * 1_048_576),
    (503, "the bodies that this process has in hand", 64 * 1_048_576),
)
SLICE_SECONDS: Final = 0.001
# After so much work on one body others get as much time as it does; a usual batch needs less.
EAGER_SECONDS: Final = 0.02

CALLER_OF: Final = web.RequestKey("caller", Caller)


class LargeBodies:
    """Those that one process has in hand."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._held: Counter[str] = Counter()

    @contextlib.contextmanager
    def room(self, request: web.Request) -> Iterator[Room]:
        """For the body of `request`, until the end of the block."""
        caller = request.get(CALLER_OF)
        room = Room(self._held, "" if caller is None else f"{caller.namespace}/{caller.identity}")
        try:
            yield room
        finally:
            room.leave()

    async def in_turns(self, work: Generator[None, None, T]) -> T:
        """The outcome of `work`, one at a time, with others' turns between its steps."""
        async with self._turn:
            spent = 0.0
            while True:
                began = now = time.perf_counter()
                try:
                    while now - began < SLICE_SECONDS:
                        next(work)
                        now = time.perf_counter()
                except StopIteration as end:
                    outcome: T = end.value
                    return outcome
                spent += now - began
                await asyncio.sleep(0 if spent < EAGER_SECONDS else now - began)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """The outcome of `work`, one at a time, where it cannot be done in steps."""
        async with self._turn:
            return await asyncio.to_thread(work)


class Room:
    """What one body takes of the room for all. `caller`: "" when nobody is asked who they are."""

    def __init__(self, held: Counter[str], caller: str) -> None:
        self._held = held
        self._holders = (_EVERYBODY, caller) if caller else (_EVERYBODY,)
        self._size = 0

    def check(self, size: int) -> None:
        """Raises ApiProblem when so many bytes more are too many: of the caller (429), of all together (503)."""
        for holder in reversed(self._holders):
            status, whose, limit = _LIMITS[holder == _EVERYBODY]
            if self._held[holder] + size > limit:
                detail = f"{whose} have more than {limit} bytes together: send fewer at a time, or smaller ones"
                raise ApiProblem("too_many_large_bodies", detail, status=status)

    def take(self, size: int) -> None:
        """Raises ApiProblem as `check` does."""
        self.check(size)
        self._add(size)

    def leave(self) -> None:
        self._add(-self._size)

    def _add(self, size: int) -> None:
        self._size += size
        for holder in self._holders:
            self._held[holder] += size
            if not self._held[holder]:
                del self._held[holder]


LARGE_BODIES: Final = web.AppKey("large_bodies", LargeBodies)


def to_the_end(work: Generator[None, None, T]) -> T:
    """The outcome of `work` at once."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            outcome: T = end.value
            return outcome
