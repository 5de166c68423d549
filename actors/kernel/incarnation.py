"""One incarnation of an actor: its receive loop, and the orderly end of it.

Every step of actor code runs under one guard that also catches SystemExit and KeyboardInterrupt: raised by a
role they are bugs like any other, and letting them through would take the event loop down with one actor.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from inspect import isawaitable

from ironforge.actors.kernel.directory import Directory
from ironforge.actors.kernel.errors import ActorFailed, BadFrame, BeginAnew, describe
from ironforge.actors.kernel.frames import Down, Exit, Stop, decode, pack
from ironforge.actors.kernel.mailbox import Mailbox
from ironforge.actors.kernel.owned_tasks import OwnedTasks
from ironforge.actors.kernel.policy import ChildSpec, Role
from ironforge.actors.kernel.ref import acting_as, receiving

logger = logging.getLogger(__name__)

# A receiver whose mailbox never runs dry would not suspend at all, and everyone else would starve.
_MESSAGES_PER_TURN = 16


class Incarnation:
    """One life of the actor at one address. `end_children` stops the children that this life has left."""

    task: asyncio.Task[None]
    actor: Role | None = None
    exit = Exit.NORMAL
    error: BaseException | None = None
    sender: str | None = None
    has_started = False
    ending = False  # receives no more messages
    killed = False  # has been cancelled by the kernel
    closed = False  # its end has been reported

    def __init__(
        self,
        directory: Directory,
        spec: ChildSpec,
        mailbox: Mailbox,
        end_children: Callable[[Incarnation], Coroutine[None, None, None]],
    ) -> None:
        self.address = mailbox.address
        self.mailbox = mailbox
        self.number = next(directory.numbers)
        self.decided = asyncio.Event()  # whether it has started
        self.owned = OwnedTasks(directory, mailbox, self.fail)
        self.watchers: dict[Incarnation, None] = {}
        self.watching: dict[Incarnation, None] = {}
        self._directory = directory
        self._spec = spec
        self._end_children = end_children
        self._failure: BaseException | None = None
        self._ask: int | None = None
        self._doing = "started"

    @property
    def over(self) -> bool:
        """Whether it can no longer own anything or look after children."""
        return self.ending or self.killed or self.closed

    async def run(self) -> None:
        """Live and end; raises nothing."""
        acting_as.set(self.address)
        receiving.set(self.address)
        await self._guard(self._live())
        self.ending = True
        self._fail_ask(f"ended in {self._doing}: {describe(self.error)}")
        self._doing = "its end"
        self.owned.cancel()
        seconds = self._directory.kill_seconds / 2 if self.killed else self._spec.shutdown_seconds
        await self._guard(self.owned.ended(finite(seconds)))
        await self._guard(self._end_children(self))
        self._doing = "stopped"
        await self._guard(self._say_stopped())

    def kill(self) -> None:
        """Cancel it and its tasks, once: a second cancellation would only interrupt its clean-up."""
        if not self.killed:
            self.killed = True
            self.task.cancel()
            self.owned.cancel()

    def fail(self, what: str, error: BaseException) -> None:
        """End it as failed because `what`, outside the receive loop, has failed."""
        if self.over or self._failure is not None:
            logger.error("%s: %s failed as well: %s", self.address, what, describe(error), exc_info=error)
            return
        self._doing = what
        self._failure = error
        self.task.cancel()

    def watch(self, target: Incarnation) -> None:
        """Receive one Down when `target` ends; at once when it already has."""
        if target.closed:
            self.mailbox.signal(target.down_signal())
        else:
            target.watchers[self] = None
            self.watching[target] = None

    def down_signal(self) -> Down:
        """The notice of its end."""
        return Down(self.address, self.number, self.exit, self.error)

    def close(self) -> None:
        """Send the notice of its end to those that watch it, and stop watching others."""
        self.closed = True
        self.decided.set()
        for watcher in self.watchers:
            del watcher.watching[self]
            watcher.mailbox.signal(self.down_signal())
        for target in self.watching:
            del target.watchers[self]
        self.watchers.clear()
        self.watching.clear()

    async def _live(self) -> None:
        self.actor = actor = self._spec.start()
        actor.bind(self, self._directory)
        await actor.begin()
        self.has_started = True
        self.decided.set()
        await self._receive(actor)

    async def _receive(self, actor: Role) -> None:
        mailbox = self.mailbox
        count = 0
        while not self._is_cancelled():
            item = await mailbox.get()
            if isinstance(item, bytes):
                await self._handle(actor, item)
            elif isinstance(item, Stop):
                self._doing = "stopping"
                await actor.stopping(item.reason)
                return
            else:
                self._doing = "down"
                await actor.notice(item)
            count += 1
            if count % _MESSAGES_PER_TURN == 0:
                await asyncio.sleep(0)
        raise asyncio.CancelledError  # actor code has swallowed it

    async def _handle(self, actor: Role, frame: bytes) -> None:
        directory = self._directory
        try:
            message, self.sender, self._ask = decode(frame)
        except BadFrame as error:  # the sender's mistake must not crash the receiver
            directory.count_unhandled(self.address, "BadFrame", describe(error))
            return
        self._doing = type(message).__name__
        handler = actor.handler_of(message)
        if handler is None:
            directory.count_unhandled(self.address, self._doing, "no handler")
            self._fail_ask(f"does not handle {self._doing}")
            return
        result = handler(actor, message)
        if result is not None and isawaitable(result):
            result = await result
        if self._ask is not None:
            directory.asks.answer(self._ask, pack(result))
            self._ask = None

    def _is_cancelled(self) -> bool:
        return self.killed or self._failure is not None or self.task.cancelling() > 0

    def _fail_ask(self, why: str) -> None:
        if self._ask is not None:
            failed = ActorFailed(f"{self.address} {why}")
            failed.__cause__ = self.error
            self._directory.asks.answer(self._ask, failed)
            self._ask = None

    async def _guard(self, step: Coroutine[None, None, None]) -> None:
        try:
            await step
        except BaseException as error:
            was_cancelled = isinstance(error, asyncio.CancelledError) and self._is_cancelled()
            cause = self._failure if was_cancelled else error
            while self.task.uncancel():
                pass
            if cause is None:
                logger.warning("%s: cancelled in %s", self.address, self._doing)
            elif isinstance(cause, BeginAnew):
                logger.warning("%s: begins anew: %s", self.address, cause)
            else:
                what = (self.address, self._doing, describe(cause))
                logger.error("%s: crashed in %s: %s", *what, exc_info=cause)  # noqa: TRY400 - may be another error
            if self.exit is Exit.NORMAL:  # the first cause decides
                self.exit = Exit.KILLED if cause is None else Exit.FAILED
                self.error = cause

    async def _say_stopped(self) -> None:
        if self.actor is not None:
            async with asyncio.timeout(finite(self._spec.shutdown_seconds)):
                await self.actor.stopped(self.exit)


def finite(seconds: float) -> float | None:
    """The time in asyncio's words, for which unlimited is None."""
    return None if seconds == math.inf else max(0.0, seconds)
