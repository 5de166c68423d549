"""Handlers that misbehave, as users' handlers do: each hurts its own attempt, and no other may notice."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

# The job that has set it; no other run may see that.
left_behind: Final[contextvars.ContextVar[str]] = contextvars.ContextVar("left_behind", default="")
# For those that end at once when they are contained.
LONG_SECONDS: Final = 600.0
LATER_SECONDS: Final = 0.05


class Unreadable(Exception):
    def __str__(self) -> str:
        raise SystemExit("not even this can be read")


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


async def _leave() -> None:
    sys.exit("a task of the handler")


async def exit_in_a_task() -> None:
    await asyncio.gather(_leave())


async def exit_in_a_task_that_nobody_awaits() -> None:
    task = asyncio.create_task(_leave())
    await asyncio.sleep(LONG_SECONDS)
    task.cancel()


async def cancel_itself() -> None:
    _this_task().cancel()
    await asyncio.sleep(LONG_SECONDS)


async def cancel_itself_too_late() -> None:
    asyncio.get_running_loop().call_later(LATER_SECONDS, _this_task().cancel)
    raise RuntimeError("its task is cancelled when it is over")


async def raise_what_cannot_be_read() -> None:
    raise Unreadable


MISBEHAVIOUR: Final[dict[str, Callable[[], Awaitable[None]]]] = {
    function.__name__: function
    for function in (
        exit_in_a_task,
        exit_in_a_task_that_nobody_awaits,
        cancel_itself,
        cancel_itself_too_late,
        raise_what_cannot_be_read,
    )
}
