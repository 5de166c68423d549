"""Threads for synchronous handlers: daemons that are replaced when a handler never comes back.

The standard pool waits for its threads when the interpreter ends, so one stuck handler would keep a drained
node alive for ever; and a stuck thread would stay counted. Here the caller bounds the number of running
calls, and a thread whose call was abandoned ends with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


async def aside(function: Callable[[], T]) -> T:
    """The result of what blocks, in a thread of its own: handlers may have filled the pool of the event loop."""
    return await Threads(keep=0).run(function)


class _Call(NamedTuple):
    function: Callable[[], Any]
    context: contextvars.Context
    future: asyncio.Future[_Returned]


class _Returned(NamedTuple):
    """Exceptions travel as values: a future refuses StopIteration, and SystemExit would end the loop."""

    value: Any
    error: BaseException | None


class Threads:
    """Runs calls in daemon threads, as many as there are calls at once; keeps up to `keep` idle ones."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0

    async def run(self, function: Callable[[], T]) -> T:
        """The function's result; raises what it raised. Cancelled, it leaves the thread to end by itself."""
        call = _Call(function, contextvars.copy_context(), asyncio.get_running_loop().create_future())
        with self._lock:
            fresh = self._idle == 0
            self._idle -= not fresh
        if fresh:
            threading.Thread(target=self._work, args=(call,), name="ironforge-handler", daemon=True).start()
        else:
            self._calls.put(call)
        value, error = await call.future
        if error is not None:
            raise error
        return value  # type: ignore[no-any-return] # of a queue of calls with all types

    def close(self) -> None:
        """Idle threads end now, busy ones after their call."""
        with self._lock:
            self._keep = 0
            idle, self._idle = self._idle, 0
        for _ in range(idle):
            self._calls.put(None)

    def _work(self, call: _Call | None) -> None:
        while call is not None:
            returned = _perform(call)
            with self._lock:
                # Free before its caller hears of the result: the next call then finds this thread, not a new one.
                stays = self._idle < self._keep
                self._idle += stays
            # When the loop has gone, this result is waited for no longer.
            with contextlib.suppress(RuntimeError):
                call.future.get_loop().call_soon_threadsafe(_resolve, call.future, returned)
            if not stays:
                return
            del call, returned  # an idle thread must not keep the last job's values alive
            call = self._calls.get()


def _perform(call: _Call) -> _Returned:
    try:
        return _Returned(call.context.run(call.function), None)
    except BaseException as error:  # noqa: BLE001 - SystemExit of a handler is its failure
        return _Returned(None, error)


def _resolve(future: asyncio.Future[_Returned], returned: _Returned) -> None:
    if not future.done():
        future.set_result(returned)
