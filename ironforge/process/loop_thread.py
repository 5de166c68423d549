"""An event loop in a thread of its own, for code that has none: it runs coroutines to their end, for any thread.

A forked child has the memory of its parent and none of its threads: there it begins anew. What the parent's loop has is
left alone, for the child shares its sockets and what watches them.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from ironforge.errors import IronForgeError

T = TypeVar("T")

# Never freed in a child: the end of these objects would reach into the parent.
_left_to_the_parent: Final[list[object]] = []


class LoopThread:
    """`name`: of the thread."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._begin()
        _all.add(self)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`. Raises what it raises, and IronForgeError once this is closed."""
        if self._loop.is_closed():
            work.close()
            raise IronForgeError("this Client is closed: make a new one")
        self._start()
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C must not leave the request running
            raise

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """Run `last`, and end. Harmless when it has ended."""
        if self._loop.is_closed():
            last.close()
            return
        self.run(last)
        self._loop.call_soon_threadsafe(self._loop.stop)
        if self._thread is not None:
            self._thread.join()
        self._loop.close()

    def begin_anew(self) -> None:
        """In a forked child."""
        if not self._loop.is_closed():
            _left_to_the_parent.append(self._loop)
            self._begin()

    def _begin(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop.run_forever, name=self._name, daemon=True)
                self._thread.start()


_all: Final[weakref.WeakSet[LoopThread]] = weakref.WeakSet()


def _begin_anew() -> None:
    for one in list(_all):
        one.begin_anew()


os.register_at_fork(after_in_child=_begin_anew)
