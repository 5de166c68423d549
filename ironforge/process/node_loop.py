"""The event loop of a node process: all of its jobs share it, so it is not for one handler to change or end."""

from __future__ import annotations

import contextvars
import functools
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvloop

from ironforge.job.context import running


def _not_for_handlers(name: str) -> Callable[..., Any]:
    method = getattr(uvloop.Loop, name)

    @functools.wraps(method)
    def guarded(self: uvloop.Loop, *args: Any, **options: Any) -> Any:
        if running.get(None) is not None:
            raise RuntimeError(f"a handler cannot call {name}() of the event loop: it would do so for the whole node")
        return method(self, *args, **options)

    return guarded


class NodeLoop(uvloop.Loop):
    """Raises RuntimeError where code of a handler would change it for the whole node.

    What a handler runs in a thread has its context, however it comes there: its lines of the log say whose they are.
    """

    stop = _not_for_handlers("stop")
    close = _not_for_handlers("close")
    set_debug = _not_for_handlers("set_debug")
    set_task_factory = _not_for_handlers("set_task_factory")
    set_exception_handler = _not_for_handlers("set_exception_handler")
    set_default_executor = _not_for_handlers("set_default_executor")
    shutdown_default_executor = _not_for_handlers("shutdown_default_executor")
    shutdown_asyncgens = _not_for_handlers("shutdown_asyncgens")
    add_signal_handler = _not_for_handlers("add_signal_handler")  # type: ignore[assignment]
    remove_signal_handler = _not_for_handlers("remove_signal_handler")

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        in_thread = executor is None or isinstance(executor, ThreadPoolExecutor)
        if in_thread and running.get(None) is not None and not inspect.iscoroutinefunction(func):
            func = functools.partial(contextvars.copy_context().run, func)
        return super().run_in_executor(executor, func, *args)
