"""Runs one attempt of a job, from its record to its outcome: prepare (decode, resolve, bind), call, classify.

What the outcome says, and whether a failed job runs again, is decided in `outcome.py`. The executor keeps no time
limit: the worker that runs the attempt sets `interrupt` and cancels the running task.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ironforge.errors import InvalidPayload, UnknownKind
from ironforge.execution.conclusion import NOTHING, Conclusion, Verdict, awaited, raised, returned
from ironforge.execution.event_hooks import EventHooks
from ironforge.execution.isolation import contain_tasks, resumed
from ironforge.execution.outcome import Attempt, Ending, Interrupt, Outcome, Outcomes
from ironforge.execution.process_frames import Request
from ironforge.execution.process_pool import Processes
from ironforge.execution.steps.children import maker
from ironforge.execution.steps.journal import Journal
from ironforge.execution.steps.run import Steps
from ironforge.execution.workflows.mapping import Maps
from ironforge.handlers.binding import Arguments
from ironforge.handlers.forge import Forge, Handler
from ironforge.handlers.lifespan import Provided
from ironforge.handlers.middleware import Endpoint, compose
from ironforge.handlers.process_target import target_of
from ironforge.job.context import Context, running
from ironforge.job.record import decode
from ironforge.job.tracebacks import in_words, message_of
from ironforge.process.thread_pool import Threads
from ironforge.redis.shards import part_of
from ironforge.settings import Settings, namespaces_of
from ironforge.steps.calls import ChildJob
from ironforge.store import Submission
from ironforge.store.versions import begun
from ironforge.workflows.endings import most_bytes_of
from ironforge.workflows.jobs import MAP_KIND
from ironforge.workflows.payloads import resolved

__all__ = ["Attempt", "Ending", "Executor", "Interrupt", "Outcome", "Steps"]


class Executor:
    """Runs attempts of the kinds that `forge` knows; `node` is named in their errors. Freezes `forge`.

    `provided`: what the lifespans of `forge` have yielded, for the handlers that take it.

    Every run sees the context variables as they are when this is made, and none that another run has set.
    """

    def __init__(self, forge: Forge, settings: Settings, node: str, provided: Provided | None = None) -> None:
        self._forge = forge
        self._provided = provided or {}
        self._base = contextvars.copy_context()
        contain_tasks(asyncio.get_running_loop())
        self._timeout_seconds = settings.default_timeout_seconds
        self._outcomes = Outcomes(node, settings)
        threads = settings.threads or settings.concurrency
        self._namespaces = namespaces_of(settings)
        self._threads = Threads(keep=threads)
        self._processes = Processes(settings)
        self._slots: dict[str, asyncio.Semaphore] = {
            "thread": asyncio.Semaphore(threads),
            "process": asyncio.Semaphore(settings.cpu_processes),
        }
        layers = forge.freeze()
        # None without hooks: then telling of events costs no more than to look.
        self.hooks = EventHooks(forge.hooks, node, self._provided) if forge.hooks else None
        self._handlers = {kind: forge.handler(kind) for kind in forge.kinds}
        # The version of those of which a job stays with that of its first run.
        staying = (kind for kind, each in self._handlers.items() if each.version_policy == "same")
        self._same = dict.fromkeys(staying, settings.app_version) if settings.app_version else {}
        self._endpoints = {kind: compose(layers, self._endpoint(each)) for kind, each in self._handlers.items()}
        maps = Maps()
        self._handlers[MAP_KIND], self._endpoints[MAP_KIND] = maps.handler, maps.run

    def prepare(self, record: bytes, stream: str = "") -> Attempt:
        """Decode and find the handler.

        `stream`: where it was delivered from, which says the namespace when the node serves several.

        Raises IncompatibleRecord when the bytes are no job, UnknownKind when no handler here is for it, OtherVersion
        when it stays with another version of the application.
        """
        job = decode(record)
        namespace = self._namespaces[part_of(stream)]
        handler = self._handlers.get(job.kind)
        if handler is None:
            raise UnknownKind(f"this node knows no kind {job.kind!r}")
        if self._same:
            job = begun(job, self._same)
        if job.timeout_ms is not None:
            return Attempt(job, handler, job.timeout_ms / 1000, namespace)
        limit = handler.options.timeout_seconds
        return Attempt(job, handler, self._timeout_seconds if limit is None else limit, namespace)

    def steps(self, attempt: Attempt, journal: Journal) -> Steps:
        """Those of a run that has just made its first."""
        return Steps(attempt.job.fence, journal, self._threads)

    def children(self, named: Sequence[ChildJob]) -> Awaitable[Callable[[int], Submission]]:
        """As `steps.children.maker`."""
        return maker(self._forge, named)

    def expire(self, attempt: Attempt) -> Outcome:
        """Instead of starting it."""
        return self._outcomes.expired(attempt)

    def start(self, attempt: Attempt) -> Awaitable[None] | None:
        """Run it in the present task until its handler waits: the rest, to be awaited; None when it is over already.

        Then `attempt.outcome` says how it ended; nothing is raised, whatever the handler does. To stop it, set
        `attempt.interrupt` and call `attempt.stop()`. The handler may cancel the task as well, also later: who runs
        others in it looks whether the handler has kept it.
        """
        if attempt.outcome is not None:
            return None
        if attempt.interrupt is not None:
            attempt.outcome = self._outcomes.interrupted(attempt)
            return None
        context, run = self._base.copy(), self._perform(attempt)
        try:
            awaited = context.run(run.send, None)
        except StopIteration:
            return None
        attempt.task = asyncio.current_task()
        if attempt.failure is not None:
            attempt.stop()
        return resumed(context, run, awaited)

    async def run(self, attempt: Attempt) -> Outcome:
        """Start it, await the rest, and say how it ended."""
        rest = self.start(attempt)
        if rest is not None:
            await rest
        assert attempt.outcome is not None
        return attempt.outcome

    async def _perform(self, attempt: Attempt) -> None:
        """One coroutine and not several: every job pays for each."""
        running.set(attempt)
        handler = attempt.handler
        context = attempt.begin()
        if attempt.read_results is not None and handler.kind != MAP_KIND and not await self._resolve(attempt):
            return
        try:
            attempt.arguments = handler.binder.bind(attempt.resolved or attempt.job.payload)
        except BaseException as error:  # noqa: BLE001 - a type's own code may raise anything
            words = message_of(error) if isinstance(error, InvalidPayload) else f"payload: {in_words(error)}"
            # It is tried again: the next node may have the version of the application that the payload was made for.
            attempt.outcome = self._outcomes.concluded(attempt, Conclusion(Verdict.FAILURE, "invalid_arguments", words))
            return
        try:
            if handler.executor == "async":
                value = await self._endpoints[handler.kind](context, attempt)
            else:
                value = await self._call_in(handler, attempt)
            end = NOTHING if value is None else returned(value)
        except BaseException as error:  # noqa: BLE001 - a handler may raise anything, SystemExit included
            end = raised(error)
        attempt.task = None
        if attempt.stepping is not None:
            end = attempt.stepping.concluded(end)
        if attempt.outcome is not None:
            return  # the worker has abandoned it meanwhile
        if attempt.interrupt is not None:
            attempt.outcome = self._outcomes.interrupted(attempt)
            return
        attempt.outcome = self._outcomes.concluded(attempt, end if attempt.failure is None else raised(attempt.failure))

    async def _resolve(self, attempt: Attempt) -> bool:
        """Put the results of other nodes into the payload; False: the attempt has ended instead."""
        assert attempt.read_results is not None
        try:
            most = most_bytes_of(attempt.job.parent)
            attempt.resolved = resolved(attempt.job.payload, await attempt.read_results(), most=most)
        except BaseException as error:  # noqa: BLE001 - of the store, of what is not there, or its cancellation
            attempt.task = None
            if attempt.outcome is None and attempt.interrupt is not None:
                attempt.outcome = self._outcomes.interrupted(attempt)
            elif attempt.outcome is None:
                attempt.outcome = self._outcomes.concluded(attempt, raised(error))
            return False
        return True

    def give_up(self, attempt: Attempt) -> None:
        """The worker waits for it no longer: its handler ignores the interrupt."""
        attempt.outcome = self._outcomes.interrupted(attempt)

    async def close(self) -> None:
        """Ends hooks, child processes and idle threads; a thread that is still busy dies with this process."""
        if self.hooks is not None:
            await self.hooks.close()
        self._threads.close()
        await self._processes.close()

    def _hopeless(self, attempt: Attempt, code: str, words: str) -> Outcome:
        return self._outcomes.hopeless(attempt, code, f"{code}: {words}")

    # ----------------------------------------------------------------------- calling

    async def _call_in(self, handler: Handler, attempt: Attempt) -> Any:
        attempt.wait()
        async with self._slots[handler.executor]:
            return await self._endpoints[handler.kind](attempt.begin(), attempt)

    def _endpoint(self, handler: Handler) -> Endpoint:
        function, context_name = handler.function, handler.binder.context_name
        if handler.provided:
            given = {name: self._provided[lifespan] for name, lifespan in handler.provided.items()}
            function = functools.partial(function, **given)

        def arguments(context: Context, attempt: Attempt) -> Arguments:
            if context_name is not None:
                attempt.arguments[context_name] = context
            return attempt.arguments

        def on_loop(context: Context, attempt: Attempt) -> Awaitable[Any]:
            result: Awaitable[Any] = function(**arguments(context, attempt))
            return result

        def wrapped_on_loop(context: Context, attempt: Attempt) -> Awaitable[Any]:
            return awaited(function(**arguments(context, attempt)))

        async def in_thread(context: Context, attempt: Attempt) -> Any:
            call = functools.partial(function, **arguments(context, attempt))
            return await awaited(await self._threads.run(call))

        match handler.executor:
            case "async":
                return on_loop if inspect.iscoroutinefunction(function) else wrapped_on_loop
            case "thread":
                return in_thread
        module, path, name = target_of(function)

        def in_process(context: Context, attempt: Attempt) -> Awaitable[Any]:
            job, limit = attempt.job, attempt.timeout_seconds
            about = job.kind, attempt.payload, job.id, job.attempt + 1, job.fence, limit
            more = attempt.namespace, job.limits, job.tick, context.workflow
            request = Request(module, path, name, *about, *more)
            return self._processes.run(request, context, lambda: attempt.steps_of(context))

        return in_process
