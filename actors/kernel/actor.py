"""The base class of all actors: what a role overrides, and what it may use.

A crash is never handled here. An actor has no state worth saving in a half-finished handler, so whatever is
raised ends the incarnation, and the supervisor decides what starts again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, TypeVar

from ironforge.actors.kernel.clock import Clock
from ironforge.actors.kernel.errors import ActorDead
from ironforge.actors.kernel.frames import Down, Exit, Message, Stop, tag_of
from ironforge.actors.kernel.incarnation import Incarnation
from ironforge.actors.kernel.owned_tasks import Timer
from ironforge.actors.kernel.ref import ActorRef
from ironforge.actors.kernel.system import ActorSystem

T = TypeVar("T")
A = TypeVar("A", bound="Actor")
M = TypeVar("M", bound=Message)


def handles(message_type: type[M]) -> Callable[[Callable[[A, M], T]], Callable[[A, M], T]]:
    """Mark the method that receives `message_type`; it may be async or, for short work, plain.

    Its return value answers an ask. Raises TypeError for a class that is not registered with @message.
    """
    if tag_of(message_type) is None:
        raise TypeError(f"{message_type!r} is not registered: decorate it with @message")

    def mark(method: Callable[[A, M], T]) -> Callable[[A, M], T]:
        method.__dict__["handled_message"] = message_type
        return method

    return mark


class Actor:
    """One mailbox, one message at a time. The attributes are there once `started` is called."""

    ref: ActorRef
    system: ActorSystem
    incarnation: int
    supervises: ClassVar[bool] = False
    _handlers: ClassVar[dict[type, Callable[[Any, Any], Any]]] = {}
    _life: Incarnation

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        names = {kind: name for base in reversed(cls.__mro__) for kind, name in _marked(base).items()}
        # Looked up by name, so that a subclass may override a handler without marking it again.
        cls._handlers = {kind: getattr(cls, name) for kind, name in names.items()}

    async def started(self) -> None:
        """Prepare; no message is received before this returns. On a first start a crash fails the parent."""

    async def stopping(self, reason: str) -> None:
        """Finish work in background tasks after a stop, before they are cancelled; not called on a crash."""

    async def stopped(self, why: Exit) -> None:
        """Clean up; called whatever ended the incarnation, once its tasks, timers and children are gone."""

    async def down(self, signal: Down) -> None:
        """A monitored actor has ended."""

    @property
    def clock(self) -> Clock:
        """The system's clock."""
        return self.system.clock

    @property
    def is_ending(self) -> bool:
        """Whether this incarnation is over, and what it owns has been told to end."""
        return self._life.over

    @property
    def sender(self) -> ActorRef | None:
        """Who sent the message in hand; None when no actor did."""
        address = self._life.sender
        return None if address is None else self.system.ref(address)

    def background(self, coro: Coroutine[Any, Any, T], *, name: str | None = None) -> asyncio.Task[T]:
        """Run `coro` as a task of this incarnation: cancelled at its end, and its failure fails the actor.

        Raises ActorDead when the incarnation is ending.
        """
        if self._life.over:
            coro.close()
            raise ActorDead(f"{self.ref.address} is ending and can own no new task")
        return self._life.owned.add_task(coro, name)

    def after(self, delay_seconds: float, message: Message) -> Timer:
        """Send `message` to this incarnation after `delay_seconds`; it waits for room when it is due.

        Raises BadFrame at once, ActorDead when the incarnation is ending.
        """
        if self._life.over:
            raise ActorDead(f"{self.ref.address} is ending and can set no timer")
        return self._life.owned.add_timer(delay_seconds, message)

    def stop_self(self, reason: str = "stopped itself") -> None:
        """End this incarnation normally after the message in hand."""
        if not self._life.over:  # the mailbox may belong to the next incarnation by now
            self._life.mailbox.signal(Stop(reason))

    def bind(self, life: Incarnation, system: ActorSystem) -> None:
        """For the kernel: attach the actor to its incarnation; not in `__init__`, which is the role's."""
        self._life = life
        self.system = system
        self.ref = system.ref(life.address)
        self.incarnation = life.number

    async def begin(self) -> None:
        """For the kernel: all that happens before the first message."""
        await self.started()

    async def notice(self, signal: Down) -> None:
        """For the kernel: all that happens on a Down."""
        await self.down(signal)

    def handler_of(self, message: Message) -> Callable[[Any, Any], Any] | None:
        """For the kernel: the function that handles `message` for this class of actor, if any."""
        return self._handlers.get(type(message))


def _marked(cls: type) -> dict[type, str]:
    marked: dict[type, str] = {}
    for name, member in vars(cls).items():
        kind = getattr(member, "handled_message", None)
        if kind is None:
            continue
        if kind in marked:
            raise TypeError(f"{cls.__name__} handles {kind.__name__} twice: in {marked[kind]} and in {name}")
        marked[kind] = name
    return marked
