"""Runs one attempt of a job, from its record to its outcome: prepare (decode, resolve, bind), call, classify.

Whether a failed job runs again is not decided here but in `retry.py`: the executor says what happened, not
what follows. It keeps no time limit either: whoever runs the attempt sets `interrupt` and cancels the running
task.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable
from typing import Any

from ironforge.config import Settings, namespaces_of
from ironforge.context import Context
from ironforge.cpu import Processes, Request, target_of
from ironforge.errors import InvalidPayload, UnknownKind
from ironforge.job import Job, decode, part_of
from ironforge.middleware import Endpoint, compose
from ironforge.outcome import Attempt, Ending, Interrupt, Outcome, Outcomes
from ironforge.payload import Arguments
from ironforge.registry import Forge, Handler
from ironforge.threads import Threads

__all__ = ["Attempt", "Ending", "Executor", "Interrupt", "Outcome"]


class Executor:
    """Runs attempts of the kinds that `forge` knows; `node` is named in their errors. Freezes `forge`."""

    def __init__(self, forge: Forge, settings: Settings, node: str) -> None:
        self._forge = forge
        self._timeout_seconds = settings.default_timeout_seconds
        self._outcomes = Outcomes(node, round(settings.retention_seconds * 1000))
        threads = settings.threads or settings.concurrency
        self._namespaces = namespaces_of(settings)
        self._threads = Threads(keep=threads)
        self._processes = Processes(settings)
        self._slots: dict[str, asyncio.Semaphore] = {
            "thread": asyncio.Semaphore(threads),
            "process": asyncio.Semaphore(settings.cpu_processes),
        }
        layers = forge.freeze()
        handlers = [forge.handler(kind) for kind in forge.kinds]
        self._endpoints = {handler.kind: compose(layers, self._endpoint(handler)) for handler in handlers}

    def prepare(self, record: bytes, stream: str = "") -> Attempt:
        """Decode, find the handler, bind its arguments. A job that cannot be run gets its outcome here.

        `stream`: where it was delivered from, which says the namespace when the node serves several.

        Raises IncompatibleRecord when the bytes are no job.
        """
        job = decode(record)
        namespace = self._namespaces[part_of(stream)]
        try:
            handler = self._forge.handler(job.kind)
            arguments = handler.binder.bind(job.payload)
        except UnknownKind as error:
            return self._hopeless(job, "unknown_kind", error)
        except InvalidPayload as error:
            return self._hopeless(job, "invalid_arguments", error)
        if job.timeout_ms is not None:
            return Attempt(job, handler, arguments, job.timeout_ms / 1000, namespace)
        limit = handler.timeout_ms
        return Attempt(job, handler, arguments, self._timeout_seconds if limit is None else limit / 1000, namespace)

    async def run(self, attempt: Attempt) -> Outcome:
        """Call the handler and say how it ended. Raises nothing but the CancelledError of the running task.

        To stop it, set `attempt.interrupt` and cancel that task: the cancellation ends here, the task goes
        on.
        """
        if attempt.outcome is not None:
            return attempt.outcome
        if attempt.interrupt is not None:
            return self._outcomes.interrupted(attempt)
        value, has_returned = None, False
        try:
            value = await self._call(attempt)
            has_returned = True
        except BaseException as error:  # a handler may raise anything, SystemExit included
            if attempt.interrupt is None:
                if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                    raise
                return self._outcomes.raised(attempt, error)
        if attempt.interrupt is None:
            return self._outcomes.returned(attempt, value)
        await _absorb_cancellation()
        if has_returned and attempt.interrupt is Interrupt.RELEASE:  # it was quicker: why run it again?
            return self._outcomes.returned(attempt, value)
        return self._outcomes.interrupted(attempt)

    def interrupted(self, attempt: Attempt) -> Outcome:
        """The outcome of an attempt that nobody waits for any longer: its handler ignores the interrupt."""
        return self._outcomes.interrupted(attempt)

    async def close(self) -> None:
        """Ends child processes and idle threads; a thread that is still busy dies with this process."""
        self._threads.close()
        await self._processes.close()

    def _hopeless(self, job: Job, type_name: str, error: Exception) -> Attempt:
        attempt = Attempt(job, None, {}, self._timeout_seconds)
        attempt.outcome = self._outcomes.hopeless(attempt, type_name, f"{type_name}: {error}")
        return attempt

    # ----------------------------------------------------------------------- calling

    def _call(self, attempt: Attempt) -> Awaitable[Any]:
        handler = attempt.handler
        assert handler is not None
        if handler.executor == "async":
            return self._endpoints[handler.kind](attempt.begin(), attempt)
        return self._call_in(self._slots[handler.executor], attempt)

    async def _call_in(self, slots: asyncio.Semaphore, attempt: Attempt) -> Any:
        async with slots:
            return await self._endpoints[attempt.job.kind](attempt.begin(), attempt)

    def _endpoint(self, handler: Handler) -> Endpoint:
        function, context_name = handler.function, handler.binder.context_name

        def arguments(context: Context, attempt: Attempt) -> Arguments:
            if context_name is not None:
                attempt.arguments[context_name] = context
            return attempt.arguments

        def on_loop(context: Context, attempt: Attempt) -> Awaitable[Any]:
            result: Awaitable[Any] = function(**arguments(context, attempt))
            return result

        def in_thread(context: Context, attempt: Attempt) -> Awaitable[Any]:
            return self._threads.run(functools.partial(function, **arguments(context, attempt)))

        match handler.executor:
            case "async":
                return on_loop
            case "thread":
                return in_thread
        module, path, name = target_of(function)

        def in_process(_: Context, attempt: Attempt) -> Awaitable[Any]:
            job, limit = attempt.job, attempt.timeout_seconds
            about = job.kind, job.payload, job.id, job.attempt + 1, job.fence, attempt.started_ms, limit
            return self._processes.run(Request(module, path, name, *about, attempt.namespace))

        return in_process


async def _absorb_cancellation() -> None:
    """Make this task usable again, whether its cancellation arrived, was swallowed, or is still to come."""
    task = asyncio.current_task()
    assert task is not None
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
    while task.uncancel() > 0:
        pass


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
