"""The end of a process that has done its work: it comes in time, whoever still holds on to it.

Python waits at its end for threads and for children of `multiprocessing`, as long as they like. A handler that sits in
`asyncio.to_thread` or has started a process would keep a drained node alive, long after its jobs run elsewhere.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from typing import Final

logger = logging.getLogger(__name__)

# From the end of the main thread on. With what the last handlers need to clean up it stays below 5 s after the drain.
PATIENCE_SECONDS: Final = 2.0


def end_in_time(code: int) -> int:
    """The same code. When the main thread is over this process has 2 seconds more; then it ends with it by force."""
    over = threading.Event()
    # Only what is registered here comes before the wait for pools of threads, and what came last comes first.
    threading._register_atexit(over.set)  # type: ignore[attr-defined]  # noqa: SLF001
    threading.Thread(target=_end, args=(over, code), name="end in time", daemon=True).start()
    return code


def _end(over: threading.Event, code: int) -> None:
    over.wait()
    time.sleep(PATIENCE_SECONDS)
    logger.warning("this process ends by force, it was kept from its end by %s", ", ".join(_holders()) or "its exit")
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
