"""The end of a process that has done its work: it comes in time, whatever handlers still hold.

Python waits at its end for threads and for children of `multiprocessing`, and asyncio for tasks that ignore their
cancellation, as long as they like. Such a handler would keep a drained node alive, long after its jobs run elsewhere.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator
from typing import Final

logger = logging.getLogger(__name__)

# From the end of the main thread on. With what the last handlers need to clean up it stays below 5 s after the drain.
PATIENCE_SECONDS: Final = 2.0


def end_in_time(code: int) -> int:
    """The same code. When the main thread is over this process has 2 seconds more; then it ends with it by force."""
    # Only what is registered here comes before the wait for pools of threads, and what came last comes first.
    threading._register_atexit(lambda: _count_down(code))  # type: ignore[attr-defined]  # noqa: SLF001
    return code


@contextlib.contextmanager
def ended_in_time(code: int) -> Iterator[None]:
    """The block has 2 seconds; then this process ends with `code` by force."""
    is_over = _count_down(code)
    try:
        yield
    finally:
        is_over.set()


def _count_down(code: int) -> threading.Event:
    is_over = threading.Event()
    threading.Thread(target=_end, args=(code, is_over), name="end in time", daemon=True).start()
    return is_over


def _end(code: int, is_over: threading.Event) -> None:
    if is_over.wait(PATIENCE_SECONDS):
        return
    logger.warning("this process ends by force, it was kept from its end by %s", ", ".join(_holders()) or "its tasks")
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _holders() -> list[str]:
    waiting = threading.main_thread()
    threads = [f"thread {one.name}" for one in threading.enumerate() if one is not waiting and not one.daemon]
    multiprocessing = sys.modules.get("multiprocessing")
    children = multiprocessing.active_children() if multiprocessing else []
    return threads + [f"process {child.name} ({child.pid})" for child in children]
