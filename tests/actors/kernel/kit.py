"""Actors and helpers for the kernel's tests."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from inspect import isawaitable
from typing import Any, NamedTuple

from ironforge.actors.kernel import (
    Actor,
    ActorDead,
    ActorRef,
    ActorSystem,
    ChildSpec,
    Down,
    Exit,
    Restart,
    RestartBudget,
    Strategy,
    Supervisor,
    handles,
    message,
)
from tests.support import waiting


@message
class Do(NamedTuple):
    """Make a puppet run one of its steps."""

    step: str
    value: Any = None


@message
class Unheard(NamedTuple):
    """A message no actor handles."""


@message
class Become(NamedTuple):
    """Make a boss start (with the named spec) or stop a child."""

    verb: str
    child: str


class Boom(Exception):
    """What a puppet crashes with."""


class Hostile(Exception):
    """An exception nobody can print."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr for you")

    __str__ = __repr__


class Puppet(Actor):
    """Writes down what happens to it in `log`; runs the step a message names."""

    def __init__(self, log: list[Any] | None = None, **steps: Callable[[Puppet], Any]) -> None:
        self.log: list[Any] = [] if log is None else log
        self.steps = steps

    async def started(self) -> None:
        self.log.append("started")
        await self.perform("started")

    async def stopping(self, reason: str) -> None:
        self.log.append(("stopping", reason))
        await self.perform("stopping")

    async def stopped(self, why: Exit) -> None:
        self.log.append(("stopped", why))
        await self.perform("stopped")

    async def down(self, signal: Down) -> None:
        self.log.append(signal)

    @handles(Do)
    async def do(self, order: Do) -> Any:
        if order.step == "crash":
            raise Boom("told to")
        if order.step == "echo":
            return order.value
        if order.step == "note":
            return self.log.append(order.value)
        return await self.perform(order.step)

    async def perform(self, step: str) -> Any:
        action = self.steps.get(step)
        result = None if action is None else action(self)
        return await result if isawaitable(result) else result


class Boss(Supervisor):
    """A supervisor whose tree is given by its maker."""

    def __init__(
        self,
        specs: list[ChildSpec],
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        budget: RestartBudget | None = None,
        log: list[Any] | None = None,
        **more: ChildSpec,
    ) -> None:
        self.specs = specs
        self.strategy = strategy
        self.budget = budget or RestartBudget(3, 5.0)
        self.log: list[Any] = [] if log is None else log
        self.more = more

    def children(self) -> list[ChildSpec]:
        return self.specs

    async def stopped(self, why: Exit) -> None:
        self.log.append(("stopped", why))

    async def down(self, signal: Down) -> None:
        self.log.append(signal)

    @handles(Become)
    async def become(self, order: Become) -> str:
        if order.verb == "crash":
            raise Boom("told to")
        if order.verb == "start":
            return (await self.start_child(self.more[order.child])).address
        await self.stop_child(order.child)
        return order.child


def spec(
    name: str,
    start: Callable[[], Actor] = Puppet,
    restart: Restart = Restart.PERMANENT,
    shutdown_seconds: float = 5.0,
    capacity: int = 1024,
) -> ChildSpec:
    return ChildSpec(name, start, restart, shutdown_seconds, capacity)


def boss(name: str, *specs: ChildSpec, **options: Any) -> ChildSpec:
    restart = options.pop("restart", Restart.PERMANENT)
    return ChildSpec(name, lambda: Boss(list(specs), **options), restart, math.inf)


async def until(predicate: Callable[[], object], what: str) -> None:
    """Let others run until the predicate holds; no sleeping, so no slower than it has to be."""
    await waiting.until(predicate, what, look_seconds=0.0)


async def settle(turns: int = 30) -> None:
    """Let everything that is ready run."""
    for _ in range(turns):
        await asyncio.sleep(0)


def number(system: ActorSystem, address: str) -> int:
    return system.cells[address].life.number


async def crash(system: ActorSystem, address: str) -> None:
    """Crash the actor and wait for its next incarnation, or for its end."""
    before = system.cells[address].life
    await system.ref(address).tell(Do("crash"))
    await until(lambda: before.closed, f"the end of {address}")


async def echo(ref: ActorRef, value: Any = "hello") -> Any:
    return await ref.ask(Do("echo", value), timeout_seconds=5.0)


async def is_dead(ref: ActorRef) -> bool:
    try:
        ref.try_tell(Do("echo"))
    except ActorDead:
        return True
    return False
