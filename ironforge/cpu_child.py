"""The main of a child process for CPU-bound handlers: reads a request, runs it, replies, until stdin ends.

A thread reads stdin, so the child ends at once when its node dies, even in the middle of a job.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import importlib
import importlib.util
import inspect
import operator
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from queue import SimpleQueue
from types import ModuleType
from typing import Any, BinaryIO, Final, NamedTuple

import msgspec

from ironforge.conclusion import raised, returned
from ironforge.config import environment_name, load
from ironforge.context import Context, running
from ironforge.cpu import HEADER, Reply, Request, frame_size
from ironforge.errors import ConfigError
from ironforge.failure import RemoteFailure
from ironforge.payload import Binder, binder_of
from ironforge.telemetry import configure_logging

SCRIPT: Final = "__ironforge_script__"
LOG_SETTINGS: Final = environment_name("log_")

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Request).decode


def main() -> None:
    requests, replies = _take_over_pipes()
    queue: SimpleQueue[Request] = SimpleQueue()
    threading.Thread(target=_read, args=(requests, queue), daemon=True).start()
    while True:
        request = queue.get()
        _set_up_logging(request.module, request.path, request.function)
        body = _encode(perform(request))
        replies.write(HEADER.pack(len(body)) + body)
        replies.flush()


def _take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Handlers that print must not write into the protocol, nor read from it."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    return requests, replies


def _read(requests: BinaryIO, queue: SimpleQueue[Request]) -> None:
    while len(header := requests.read(HEADER.size)) == HEADER.size:
        try:
            queue.put(_decode(requests.read(frame_size(header))))
        except (msgspec.MsgspecError, RecursionError, ValueError, RemoteFailure) as error:
            # The node would wait until the job's time is over; the end of this process it sees at once.
            sys.stderr.write(f"ironforge.cpu_child: this is no request, the process ends: {error}\n")
            os._exit(1)
    os._exit(0)


def perform(request: Request) -> Reply:
    """Never raises, whatever the handler does."""
    context = Context(
        request.job_id,
        request.kind,
        request.attempt,
        request.fence,
        request.timeout_seconds,
        request.namespace,
    )
    return contextvars.copy_context().run(_run, _Run(context), request)


class _Run(NamedTuple):
    context: Context

    def fail(self, _: BaseException) -> bool:
        """This process runs nothing beside the handler that another task could fail."""
        return False


def _run(run: _Run, request: Request) -> Reply:
    running.set(run)
    try:
        function, binder = _find(request.module, request.path, request.function)
        arguments = binder.bind(request.payload)
        if binder.context_name is not None:
            arguments[binder.context_name] = run.context
        result = function(**arguments)
        end = returned(asyncio.run(_awaited(result)) if inspect.isawaitable(result) else result)
    except BaseException as error:  # noqa: BLE001 - SystemExit of a handler is its failure
        end = raised(error)
    seconds = None if end.pause_ms is None else end.pause_ms / 1000
    return Reply(end.verdict, end.result, end.message, end.type, end.trace, seconds)


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result


@functools.cache
def _set_up_logging(module: str, path: str, function: str) -> None:
    """Once the application is loaded, which may have set up its own; what is wrong with it is told as it runs."""
    with contextlib.suppress(BaseException):
        _find(module, path, function)
    configure_logging(load({name: value for name, value in os.environ.items() if name.startswith(LOG_SETTINGS)}))


@functools.cache
def _find(module_name: str, path: str, name: str) -> tuple[Callable[..., Any], Binder]:
    module = _load_script(path) if path else importlib.import_module(module_name)
    try:
        function = operator.attrgetter(name)(module)
    except AttributeError:
        raise ConfigError(
            f"the child process found no {name!r} in {path or module_name}: a handler with "
            'executor="process" must keep its name at the top of its module'
        ) from None
    return function, binder_of(function)


@functools.cache
def _load_script(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(SCRIPT, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is no Python file that a child process can load")
    module = importlib.util.module_from_spec(spec)
    sys.modules[SCRIPT] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
