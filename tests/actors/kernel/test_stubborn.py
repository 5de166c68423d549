"""Actors and tasks that swallow their cancellation: nobody waits for them for ever, and they are named."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

from ironforge.actors.kernel import ActorSystem, Down, Exit, Strategy
from tests.actors.kernel.kit import (
    Boss,
    Do,
    Puppet,
    boss,
    crash,
    echo,
    number,
    settle,
    spec,
    until,
)


def stubborn(gate: asyncio.Event):
    """A step that swallows every cancellation until the gate opens."""

    async def step(_: Puppet) -> None:
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                continue

    return step


async def test_shutdown_ends_by_its_deadline_and_names_who_swallows_cancellation(clock, caplog):
    gate = asyncio.Event()
    system = ActorSystem(clock, kill_seconds=0.05)
    log: list[Any] = []
    await system.spawn(
        boss("node", spec("good", lambda: Puppet(log)), boss("sub", spec("bad", lambda: Puppet(hold=stubborn(gate)))))
    )
    await system.ref("node/sub/bad").tell(Do("hold"))
    await settle()
    before = time.monotonic()
    assert await system.shutdown(0.05) == ["node/sub/bad"]
    assert time.monotonic() - before < 1.0
    assert log[-1] == ("stopped", Exit.KILLED)
    assert "node/sub/bad: ignored its cancellation and is left behind" in caplog.text
    gate.set()
    await until(lambda: system.tasks == 0, "the end of the survivor")
    assert system.cells == {}


async def test_a_child_that_swallows_cancellation_is_replaced_and_harms_nobody_later(system):
    gate, log = asyncio.Event(), []

    async def hold_then_stop_itself(me: Puppet) -> None:
        await stubborn(gate)(me)
        me.stop_self()  # must not reach the successor, whose mailbox it is by then

    bad = spec("bad", lambda: Puppet(log, hold=hold_then_stop_itself), shutdown_seconds=0.01)
    await system.spawn(boss("node", bad, spec("a"), strategy=Strategy.ONE_FOR_ALL))
    await system.ref("node/bad").tell(Do("hold"))
    await settle()
    zombie = system.cells["node/bad"].life
    await crash(system, "node/a")
    await until(lambda: number(system, "node/a") > 4, "the restart")
    assert zombie.closed
    assert not zombie.task.done()
    await system.ref("node/bad").tell(Do("note", "for the successor"))
    assert await echo(system.ref("node/bad")) == "hello"
    gate.set()
    await until(zombie.task.done, "the end of the survivor")
    await settle()
    assert await echo(system.ref("node/bad")) == "hello"
    assert log == ["started", "started", "for the successor", ("stopped", Exit.KILLED)]


async def test_a_supervisor_left_behind_does_not_stop_the_children_of_its_successor(system):
    gate = asyncio.Event()

    class Stuck(Boss):
        async def down(self, signal: Down) -> None:
            await stubborn(gate)(self)

    stuck = spec("sub", lambda: Stuck([spec("child")]), shutdown_seconds=0.01)
    await system.spawn(boss("node", stuck, spec("a"), strategy=Strategy.ONE_FOR_ALL))
    zombie = system.cells["node/sub"].life
    system.monitor(system.ref("node/sub"), system.ref("nobody"))
    await settle()
    await crash(system, "node/a")
    await until(lambda: number(system, "node/a") > 5, "the restart")
    gate.set()
    await until(zombie.task.done, "the end of the survivor")
    assert await echo(system.ref("node/sub/child")) == "hello"


async def test_a_handler_that_swallows_one_cancellation_still_ends(system):
    async def swallow(_: Puppet) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    ref = await system.spawn(spec("a", lambda: Puppet(swallow=swallow)))
    await ref.tell(Do("swallow"))
    await settle()
    system.cells["a"].life.task.cancel()
    system.cells["a"].life.task.cancel()  # counts twice, arrives once
    assert await system.wait(ref) is Exit.KILLED


async def test_a_background_task_that_swallows_cancellation_cannot_hold_up_the_restart(system):
    gate = asyncio.Event()

    def begin(me: Puppet) -> None:
        me.background(stubborn(gate)(me))

    await system.spawn(boss("node", spec("a", lambda: Puppet(begin=begin), shutdown_seconds=0.01)))
    await system.ref("node/a").tell(Do("begin"))
    await settle()
    await crash(system, "node/a")
    assert await echo(system.ref("node/a")) == "hello"
    assert system.tasks == 3
    gate.set()
    await until(lambda: system.tasks == 2, "the end of the stubborn task")


async def test_a_killed_actor_cleans_up_even_if_one_of_its_tasks_swallows_cancellation(clock):
    system = ActorSystem(clock, kill_seconds=0.2)
    gate, log = asyncio.Event(), []

    def begin(me: Puppet) -> None:
        me.background(stubborn(gate)(me))

    ref = await system.spawn(spec("a", lambda: Puppet(log, started=begin, hold=lambda _: asyncio.Event().wait())))
    await ref.tell(Do("hold"))
    await settle()
    assert await system.shutdown(0.01) == ["a"]
    assert log == ["started", ("stopped", Exit.KILLED)]
    gate.set()
    await until(lambda: system.tasks == 0, "the end of the stubborn task")
