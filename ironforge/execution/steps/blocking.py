"""Coroutines in two ways: to be awaited on an event loop, or run to their end at once where there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")


running_loop: Final = asyncio._get_running_loop  # noqa: SLF001 - the public one raises where there is none


def has_loop() -> bool:
    return running_loop() is not None


def begun(work: Coroutine[Any, Any, T]) -> Any:
    """`work` itself where an event loop runs; elsewhere what it comes to, for all that it awaits is done there."""
    return work if has_loop() else ended(work)


def ended(work: Coroutine[Any, Any, T]) -> T:
    """The result of what never really waits."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise RuntimeError("this waits for an event loop, and there is none")
