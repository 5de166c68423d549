"""What an incarnation owns besides its receive loop: timers and background tasks, all ended with it.

A task that ignores its cancellation is waited for only so long and then left behind, for it must not be able
to hold up the restart of its actor for ever; the system still knows it and names it at shutdown.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ironforge.actors.kernel.clock import Clock
from ironforge.actors.kernel.directory import Directory
from ironforge.actors.kernel.errors import ActorFailed, MailboxFull, describe
from ironforge.actors.kernel.frames import Message, encode
from ironforge.actors.kernel.mailbox import Mailbox
from ironforge.actors.kernel.ref import acting_as, receiving

T = TypeVar("T")


class Timer:
    """A message an actor has arranged to send itself."""

    def __init__(self, timers: set[Timer], clock: Clock, delay_seconds: float, send: Callable[[], object]) -> None:
        self._timers = timers
        self._send = send
        self._handle = clock.call_later(delay_seconds, self._fire)
        timers.add(self)

    def cancel(self) -> None:
        """Take the message back; harmless when it has already been sent."""
        self._timers.discard(self)
        self._handle.cancel()

    def _fire(self) -> None:
        self._timers.discard(self)
        self._send()


class OwnedTasks:
    """The timers and tasks of one incarnation; `on_failure` hears the name and error of a failed task."""

    def __init__(
        self, directory: Directory, mailbox: Mailbox, on_failure: Callable[[str, BaseException], None]
    ) -> None:
        self.timers: set[Timer] = set()
        self._directory = directory
        self._mailbox = mailbox
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[Any]] = set()

    def add_task(self, coro: Coroutine[Any, Any, T], name: str | None) -> asyncio.Task[T]:
        """Run `coro` in the actor's name, though not as its receive loop: it may ask the actor."""
        context = contextvars.copy_context()
        context.run(acting_as.set, self._mailbox.address)
        context.run(receiving.set, None)
        task = self._directory.own(_contained(coro), self._mailbox.address, name=name, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        task.add_done_callback(lambda _: coro.close())  # cancelled before its first step, it never began
        return task

    def add_timer(self, delay_seconds: float, message: Message) -> Timer:
        """Put `message` into the actor's mailbox after `delay_seconds`."""
        frame = encode(message, self._mailbox.address)

        def send() -> None:
            try:
                self._mailbox.try_put(frame)
            except MailboxFull:  # a lost tick would silently end a periodic actor
                self.add_task(self._mailbox.put(frame), f"{self._mailbox.address} timer")

        return Timer(self.timers, self._directory.clock, delay_seconds, send)

    def cancel(self) -> None:
        """Take back all timers and cancel all tasks."""
        for timer in tuple(self.timers):
            timer.cancel()
        for task in self._tasks:
            task.cancel()

    async def ended(self, seconds: float | None) -> None:
        """Wait until the cancelled tasks have ended, at most `seconds`."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._on_failure(task.get_name(), error)


async def _contained(coro: Coroutine[Any, Any, T]) -> T:
    try:
        return await coro
    except (SystemExit, KeyboardInterrupt) as error:  # a task would let these two through to the loop
        raise ActorFailed(f"a background task raised {describe(error)}") from error
