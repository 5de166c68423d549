"""The lifespans of a node while it runs: started in order, ended in reverse, whatever each of them does.

All of them run in one task that runs nothing else: a task group or a cancel scope that a lifespan holds open must be
left in the task that entered it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from ironforge.errors import ConfigError
from ironforge.handlers.lifespan import Lifespan
from ironforge.job.tracebacks import in_words, trace_of

logger = logging.getLogger(__name__)

# For the ends of all together; one that is not over then is cancelled, and left alone after a second more.
END_SECONDS: Final = 5.0
CANCEL_SECONDS: Final = 1.0


class Lifespans:
    """`provided`: what they have yielded. `failed`: one has failed while the node ran; `on_failure` hears of it."""

    def __init__(self, lifespans: Sequence[Lifespan], on_failure: Callable[[], None]) -> None:
        self._lifespans = lifespans
        self._on_failure = on_failure
        self.provided: dict[Lifespan, Any] = {}
        self.failed = False
        self._open: list[tuple[Lifespan, AbstractAsyncContextManager[Any]]] = []
        self._started = asyncio.Event()
        self._ending = asyncio.Event()
        self._problem: ConfigError | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, stopping: asyncio.Event) -> bool:
        """True when all have started; False when `stopping` was set before. Then those that had started have ended,
        as they have when it raises ConfigError, because one has failed."""
        if not self._lifespans:
            return True
        self._task = asyncio.create_task(self._run(), name="lifespans")
        told = [asyncio.create_task(event.wait()) for event in (self._started, stopping)]
        await asyncio.wait([self._task, *told], return_when=asyncio.FIRST_COMPLETED)
        for task in told:
            task.cancel()
        if self._started.is_set():
            return True
        if not self._task.done():
            self._task.cancel()
            await self.end()
        if self._problem is not None:
            raise self._problem
        return False

    async def end(self) -> None:
        """End all that have started, the last one first, within 6 seconds."""
        if self._task is None:
            return
        self._ending.set()
        await asyncio.wait([self._task], timeout=END_SECONDS + CANCEL_SECONDS)
        if not self._task.done():
            names = ", ".join(lifespan.name for lifespan, _ in self._open) or "one that starts"
            logger.error("the node ends without these lifespans, which ignore their cancellation: %s", names)

    async def _run(self) -> None:
        try:
            for lifespan in self._lifespans:
                await self._enter(lifespan)
                if self._ending.is_set():
                    break
            else:
                self._started.set()
                await self._until_the_end()
        except ConfigError as error:
            self._problem = error
        deadline = time.monotonic() + END_SECONDS
        while self._open:
            await self._leave(*self._open[-1], (deadline - time.monotonic()) / len(self._open))
            self._open.pop()

    async def _enter(self, lifespan: Lifespan) -> None:
        try:
            manager = lifespan.open(**{name: self.provided[earlier] for name, earlier in lifespan.takes.items()})
            self.provided[lifespan] = await manager.__aenter__()
        except BaseException as error:  # SystemExit included: it is the application's to fail, and ours to say so
            if not self._ending.is_set():
                raise ConfigError(f"lifespan {lifespan.name} failed as it started: {in_words(error)}") from error
        else:
            self._open.append((lifespan, manager))

    async def _until_the_end(self) -> None:
        while not self._ending.is_set():
            try:
                await self._ending.wait()
            except asyncio.CancelledError:  # by a task group that a lifespan holds open, when a task in it fails
                logger.critical("a lifespan has failed, the node drains and ends; what happened is told as it ends")
                self.failed = True
                self._on_failure()

    async def _leave(self, lifespan: Lifespan, manager: AbstractAsyncContextManager[Any], seconds: float) -> None:
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                await manager.__aexit__(None, None, None)
        except BaseException as error:  # noqa: BLE001 - none of them keeps the others from their ends
            problem = f"it was cancelled after {seconds:.1f} s" if limit.expired() else in_words(error)
            logger.error(  # noqa: TRY400 - a user's exception may not be safe to print
                "lifespan %s failed as it ended: %s", lifespan.name, problem, extra={"exception": trace_of(error)}
            )
