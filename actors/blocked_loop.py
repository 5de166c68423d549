"""Which handler holds up the event loop, seen from another thread by the frames of the loop's own thread."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from types import FrameType
from typing import Final, NamedTuple

from ironforge.execution.executor import Attempt

SHOWN: Final = 3


class Blocker(NamedTuple):
    """`attempt`: what the loop is running, None when no job's handler does it. `place`: the innermost functions."""

    attempt: Attempt | None
    place: str


def blocker(thread_id: int) -> Blocker:
    """Of the loop that runs in this thread."""
    frames = list(_frames(thread_id))
    inside = [_attempt_of(frame) for frame in frames]
    attempt = next(filter(None, inside), None)
    # Of a handler's frames only its own: those around them are this program's way to call it.
    own = frames[: inside.index(attempt)] if attempt else frames
    places = [f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}" for frame in own]
    return Blocker(attempt, ", called from ".join(islice(places, SHOWN)))


def _frames(thread_id: int) -> Iterator[FrameType]:
    frame = sys._current_frames().get(thread_id)  # noqa: SLF001 - there is no other way
    while frame is not None:
        yield frame
        frame = frame.f_back


def _attempt_of(frame: FrameType) -> Attempt | None:
    """The one that this frame runs: the executor calls it so in all of its functions."""
    if "attempt" not in frame.f_code.co_varnames:
        return None
    attempt = frame.f_locals.get("attempt")
    return attempt if isinstance(attempt, Attempt) else None
