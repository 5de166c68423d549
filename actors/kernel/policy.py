"""Who falls with a failed child, who starts again, and when to give up: pure functions over data.

A TEMPORARY child never starts again, not even when it falls with a sibling: its owner asked for one life.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from ironforge.actors.kernel.frames import Down, Exit, Message


class Restart(Enum):
    """When a child that ended by itself starts again."""

    PERMANENT = "always"
    TRANSIENT = "after a failure"
    TEMPORARY = "never"


def should_restart(restart: Restart, why: Exit) -> bool:
    """Whether a child that ended with `why` starts again."""
    if restart is Restart.TRANSIENT:
        return why is not Exit.NORMAL
    return restart is Restart.PERMANENT


class Strategy(Enum):
    """Which siblings share the fate of a failed child."""

    ONE_FOR_ONE = "only the failed child"
    ONE_FOR_ALL = "all children"
    REST_FOR_ONE = "the failed child and those started after it"

    def fallen(self, order: tuple[str, ...], failed: str) -> tuple[str, ...]:
        """The ids to stop (last first) and to start again, in start order.

        Raises ValueError when `failed` is not in `order`.
        """
        position = order.index(failed)
        if self is Strategy.ONE_FOR_ALL:
            return order
        return order[position:] if self is Strategy.REST_FOR_ONE else (failed,)


@dataclass(frozen=True, slots=True)
class RestartBudget:
    """At most `intensity` restarts within any `period_seconds`."""

    intensity: int = 3
    period_seconds: float = 5.0

    def __post_init__(self) -> None:
        if self.intensity < 0 or not self.period_seconds > 0:
            raise ValueError(f"{self}: intensity must be 0 or more, period_seconds more than 0")

    def spend(self, history: tuple[float, ...], now: float) -> tuple[tuple[float, ...], bool]:
        """Spend one restart: the times that still count, and whether the budget is now exceeded."""
        recent = (*(time for time in history if now - time <= self.period_seconds), now)
        return recent, len(recent) > self.intensity


class Role(Protocol):
    """What the kernel asks of an actor; `Actor` has all of it."""

    @property
    def supervises(self) -> bool:
        """Whether it decides what becomes of its children."""

    def bind(self, life: Any, system: Any) -> None:
        """Attach it to its incarnation, in its actor system."""

    async def begin(self) -> None:
        """All that happens before the first message."""

    def handler_of(self, message: Message) -> Callable[[Any, Any], Any] | None:
        """The function of (role, message) that handles `message`, if any."""

    async def notice(self, signal: Down) -> None:
        """All that happens on a Down."""

    async def stopping(self, reason: str) -> None:
        """All that happens on a Stop."""

    async def stopped(self, why: Exit) -> None:
        """All that happens at the end."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to start, restart and stop one actor.

    `shutdown_seconds` is how long a stop may take before the actor is cancelled; give supervisors `math.inf`,
    for theirs is the sum of their children's. `capacity` bounds the mailbox, in messages. `keeps_mailbox` says
    whether messages that wait when an incarnation ends are read by the next one, or are void like its state.
    Raises ValueError for values out of range.
    """

    id: str
    start: Callable[[], Role]
    restart: Restart = Restart.PERMANENT
    shutdown_seconds: float = 5.0
    capacity: int = 1024
    keeps_mailbox: bool = True

    def __post_init__(self) -> None:
        if not self.id or "/" in self.id:
            raise ValueError(f"child id {self.id!r}: must be non-empty and without '/'")
        if not self.shutdown_seconds >= 0 or self.capacity < 1:
            raise ValueError(f"child {self.id!r}: shutdown_seconds must be 0 or more, capacity 1 or more")
