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
import operator
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from queue import SimpleQueue
from types import ModuleType
from typing import Any, BinaryIO, Final, NoReturn

import msgspec

from ironforge.errors import ConfigError
from ironforge.execution.conclusion import Conclusion, awaited, is_awaitable, raised, returned
from ironforge.execution.process_frames import HEADER, Answer, Ask, Request, encode, frame, frame_size, read_request
from ironforge.execution.steps.child import ChildJournal
from ironforge.execution.steps.run import Steps
from ironforge.handlers.binding import Binder, binder_of
from ironforge.job.context import SAID, Context, running
from ironforge.job.limits import LimitUse
from ironforge.job.tracebacks import RemoteFailure
from ironforge.logs.setup import configure_logging
from ironforge.process.forks import withhold
from ironforge.process.thread_pool import Threads
from ironforge.settings import environment_name, load

SCRIPT: Final = "__ironforge_script__"
LOG_SETTINGS: Final = environment_name("log_")
# For steps of handlers that run an event loop of their own.
_threads: Final = Threads(keep=1)


def main() -> None:
    requests, replies = _take_over_pipes()
    withhold(requests)
    withhold(replies)
    pipes = _Pipes(requests, replies)
    while True:
        request = pipes.requests.get()
        _set_up_logging(request.module, request.path, request.function)
        pipes.say(perform(request, pipes.ask))


class _Pipes:
    """To the node and from it. What a handler runs beside itself may ask as well, one at a time."""

    def __init__(self, requests: BinaryIO, replies: BinaryIO) -> None:
        self.requests: SimpleQueue[Request] = SimpleQueue()
        self._answers: SimpleQueue[Answer] = SimpleQueue()
        self._files = requests, replies
        self._places = _places_of(requests, replies)
        self._number = 0
        self._turn = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()

    def ask(self, ask: Ask) -> Answer:
        with self._turn:
            self.say(ask)
            return self._answers.get()

    def say(self, what: Conclusion | Ask) -> None:
        """In answer to the present request."""
        said = encode(what)
        if _places_of(*self._files) != self._places:
            _end("a handler has closed the pipes to the node, and may have opened files of its own under their numbers")
        _, replies = self._files
        replies.write(frame(self._number, said))
        replies.flush()

    def _read(self) -> None:
        requests, _ = self._files
        try:
            while True:
                header = requests.read(HEADER.size)
                number = int.from_bytes(header[:8], "big") if header else 0
                size = frame_size(header, number if number == self._number else self._number + 1)
                if size is None:
                    os._exit(0)
                match read_request(requests.read(size)):
                    case Request() as request:
                        self._number = number
                        self.requests.put(request)
                    case answer:
                        self._answers.put(answer)
        except OSError:  # a handler has closed it, which is seen elsewhere
            return
        except RemoteFailure as error:
            _end(f"this is no request: {error}")


def _take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Handlers that print must not write into the protocol, nor read from it."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    return requests, replies


def _places_of(*pipes: BinaryIO) -> list[tuple[int, int]]:
    with contextlib.suppress(OSError):
        return [(found.st_dev, found.st_ino) for found in (os.fstat(pipe.fileno()) for pipe in pipes)]
    return []


def _end(reason: str) -> NoReturn:
    """The node would wait until the job's time is over; the end of this process it sees at once."""
    sys.stderr.write(f"ironforge.execution.process_worker: {reason}; the process ends\n")
    os._exit(1)


def perform(request: Request, ask: Callable[[Ask], Answer]) -> Conclusion:
    """Never raises, whatever the handler does. `ask` asks the node for the journal, and blocks."""
    run = _Run(request, ask)
    end = contextvars.copy_context().run(_run, run, request)
    return run.concluded(end)


class _Run:
    """Implements `job.context.Running`."""

    def __init__(self, request: Request, ask: Callable[[Ask], Answer]) -> None:
        about = request.kind, request.attempt, request.fence, request.timeout_seconds, request.namespace, request.tick
        self.context = Context(request.job_id, *about, self._steps_of)
        self.context.use_limits(request.limits, self._throttle)
        self.context.workflow = request.workflow
        self._told: list[tuple[str, int]] = []
        self._fence = request.fence
        self._journal = ChildJournal(ask)
        self._steps: Steps | None = None

    def fail(self, _: BaseException) -> bool:
        """This process runs nothing beside the handler that another task could fail."""
        return False

    def _steps_of(self, _: Context) -> Steps:
        if self._steps is None:
            self._steps = Steps(self._fence, self._journal, _threads)
        return self._steps

    def concluded(self, end: Conclusion) -> Conclusion:
        """With what the handler said to its context."""
        self._journal.close()
        if self._steps is not None:
            end = self._steps.concluded(end)
        used = tuple((use.name, units) for use, units in self.context.units_used.items())
        return msgspec.structs.replace(end, told=tuple(self._told), used=used) if self._told or used else end

    def _throttle(self, use: LimitUse, ms: int) -> Awaitable[None]:
        self._told.append((use.name, ms))
        return SAID


def _run(run: _Run, request: Request) -> Conclusion:
    running.set(run)
    try:
        function, binder = _find(request.module, request.path, request.function)
        arguments = binder.bind(request.payload)
        if binder.context_name is not None:
            arguments[binder.context_name] = run.context
        result = function(**arguments)
        return returned(asyncio.run(awaited(result)) if is_awaitable(result) else result)
    except BaseException as error:  # noqa: BLE001 - SystemExit of a handler is its failure
        return raised(error)


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
