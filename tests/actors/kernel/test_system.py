"""The system as a whole: spawning, monitoring, waiting, shutting down, and the clocks."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from ironforge.actors.kernel import ActorDead, ActorError, ActorSystem, Down, Exit, ManualClock, Strategy, SystemClock
from tests.actors.kernel.kit import Become, Boom, Do, Puppet, boss, crash, echo, number, settle, spec, until


async def test_an_address_can_be_taken_only_once_at_a_time(system):
    first = await system.spawn(spec("a"))
    with pytest.raises(ActorError, match="the address a is taken"):
        await system.spawn(spec("a"))
    first.stop()
    await system.wait(first)
    assert await system.spawn(spec("a")) == first


async def test_nobody_is_born_to_a_dead_or_ending_parent(system):
    refused: list[str] = []

    async def late(me: Puppet) -> None:
        with pytest.raises(ActorDead, match="b cannot start: a is ending"):
            await me.system.spawn(spec("b"), me.ref)
        refused.append("refused")

    ref = await system.spawn(spec("a", lambda: Puppet(stopped=late)))
    ref.stop()
    await system.wait(ref)
    assert refused == ["refused"]
    with pytest.raises(ActorDead):
        await system.spawn(spec("b"), ref)


async def test_a_system_that_shuts_down_accepts_no_new_root():
    system = ActorSystem()
    assert await system.shutdown(1.0) == []
    with pytest.raises(ActorDead, match="the system is ending"):
        await system.spawn(spec("a"))


async def test_a_cancelled_spawn_leaves_nothing(system):
    spawning = asyncio.create_task(system.spawn(spec("a", lambda: Puppet(started=lambda _: asyncio.Event().wait()))))
    await until(lambda: system.tasks, "the start")
    spawning.cancel()
    await asyncio.wait([spawning])
    await until(lambda: system.tasks == 0, "the end")
    assert system.cells == {}


async def test_an_actor_that_starts_although_its_spawn_was_cancelled_ends_at_once(system):
    log: list[Any] = []

    async def insist(_: Puppet) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    spawning = asyncio.create_task(system.spawn(spec("a", lambda: Puppet(log, started=insist))))
    await until(lambda: log, "the start")
    spawning.cancel()
    await asyncio.wait([spawning])
    await until(lambda: system.tasks == 0, "the end")
    assert log == ["started", ("stopped", Exit.KILLED)]


async def test_an_actor_killed_before_its_first_step_counts_as_killed(system):
    spawning = asyncio.create_task(system.spawn(spec("a")))
    await asyncio.sleep(0)
    system.cells["a"].life.task.cancel()
    with pytest.raises(ActorError, match="a did not start"):
        await spawning
    assert await system.wait(system.ref("a")) is Exit.KILLED


async def test_a_monitor_hears_once_of_the_incarnation_it_watched(system):
    log: list[Any] = []
    watcher = await system.spawn(spec("w", lambda: Puppet(log)))
    await system.spawn(boss("node", spec("a")))
    watched = number(system, "node/a")
    system.monitor(watcher, system.ref("node/a"))
    system.monitor(watcher, system.ref("node/a"))
    await crash(system, "node/a")
    await echo(system.ref("node/a"))
    await crash(system, "node/a")
    await echo(system.ref("node/a"))
    await echo(watcher)
    (down,) = log[1:]
    assert down.address == "node/a"
    assert down.incarnation == watched
    assert down.exit == Exit.FAILED
    assert isinstance(down.error, Boom)


async def test_monitoring_the_dead_delivers_down_at_once(system):
    log: list[Any] = []
    watcher = await system.spawn(spec("w", lambda: Puppet(log)))
    system.monitor(watcher, system.ref("nobody"))
    await echo(watcher)
    assert log[1:] == [Down("nobody", 0, Exit.NEVER_STARTED, None)]


async def test_monitoring_between_two_incarnations_delivers_down_at_once(system):
    log: list[Any] = []
    gate = asyncio.Event()
    watcher = await system.spawn(spec("w", lambda: Puppet(log)))
    slow = spec("b", lambda: Puppet(stopping=lambda _: gate.wait()))
    await system.spawn(boss("node", spec("a"), slow, strategy=Strategy.ONE_FOR_ALL))
    await crash(system, "node/a")
    system.monitor(watcher, system.ref("node/a"))
    await echo(watcher)
    assert [(down.address, down.exit) for down in log[1:]] == [("node/a", Exit.FAILED)]
    gate.set()


async def test_the_dead_cannot_watch(system):
    with pytest.raises(ActorDead, match="nobody has ended and cannot watch"):
        system.monitor(system.ref("nobody"), system.ref("nobody"))


async def test_a_watcher_that_ended_is_forgotten_by_those_it_watched(system):
    watcher = await system.spawn(spec("w"))
    target = await system.spawn(spec("a"))
    system.monitor(watcher, target)
    watcher.stop()
    await system.wait(watcher)
    assert system.cells["a"].life.watchers == {}


async def test_waiting_for_an_actor_that_never_was(system):
    with pytest.raises(ActorDead, match="no actor lives at nobody"):
        await system.wait(system.ref("nobody"))


async def test_a_cancelled_wait_disturbs_nobody(system):
    ref = await system.spawn(spec("a"))
    waiting, other = (asyncio.create_task(system.wait(ref)) for _ in range(2))
    await settle()
    waiting.cancel()
    await settle()
    ref.stop()
    assert await other is Exit.NORMAL


async def test_shutdown_stops_the_last_root_first(clock):
    system = ActorSystem(clock)
    log: list[str] = []
    for name in "ab":
        await system.spawn(spec(name, lambda: Puppet(stopped=lambda me: log.append(me.ref.address))))
    assert await system.shutdown(5.0) == []
    assert log == ["b", "a"]


async def test_shutdown_cancels_what_is_late(clock):
    system = ActorSystem(clock, kill_seconds=0.5)
    log: list[Any] = []
    await system.spawn(spec("late", lambda: Puppet(log, hold=lambda _: asyncio.Event().wait())))
    await system.ref("late").tell(Do("hold"))
    await settle()
    assert await system.shutdown(0.01) == []
    assert log == ["started", ("stopped", Exit.KILLED)]
    assert system.cells == {}


async def test_a_supervisor_killed_with_its_subtree_does_not_wait_for_its_children_one_by_one(clock):
    system = ActorSystem(clock, kill_seconds=60.0)
    hang = lambda _: asyncio.Event().wait()  # noqa: E731
    children = [spec(str(index), lambda: Puppet(stopping=hang)) for index in range(20)]
    await system.spawn(boss("node", boss("sub", *children)))
    started = asyncio.get_running_loop().time()
    assert await system.shutdown(0.02) == []
    assert asyncio.get_running_loop().time() - started < 60.0
    assert system.cells == {}


async def test_children_that_had_ended_when_their_supervisor_was_killed_are_forgotten(system):
    gate = asyncio.Event()
    hang = spec("x", lambda: Puppet(started=lambda _: gate.wait()))
    await system.spawn(boss("node", boss("sub", spec("a"), x=hang)))
    await system.ref("node/sub").tell(Become("start", "x"))
    await until(lambda: "node/sub/x" in system.cells, "the start")
    await crash(system, "node/sub/a")
    system.cells["node/sub"].life.kill()
    await until(lambda: number(system, "node/sub") > 4 and "node/sub/a" in system.cells, "the restart")
    assert "node/sub/x" not in system.cells
    assert await echo(system.ref("node/sub/a")) == "hello"


async def test_the_system_clock_is_the_loop_s_and_calls_back():
    clock, loop = SystemClock(), asyncio.get_running_loop()
    assert abs(clock.now() - loop.time()) < 1.0
    called = asyncio.Event()
    clock.call_later(0.0, called.set)
    await asyncio.wait_for(called.wait(), 5)


async def test_the_manual_clock_runs_due_callbacks_in_order_and_those_they_add():
    clock, log = ManualClock(100.0), []

    def first() -> None:
        log.append(("first", clock.now()))
        clock.call_later(0.5, lambda: log.append(("added", clock.now())))
        clock.call_later(9.0, lambda: log.append("too late"))

    clock.call_later(2.0, lambda: log.append(("second", clock.now())))
    clock.call_later(1.0, first)
    clock.call_later(1.0, lambda: log.append(("tie", clock.now())))
    cancelled = clock.call_later(1.0, lambda: log.append("cancelled"))
    cancelled.cancel()
    assert clock.pending == 3
    await clock.advance(3.0)
    assert log == [("first", 101.0), ("tie", 101.0), ("added", 101.5), ("second", 102.0)]
    assert clock.now() == 103.0
