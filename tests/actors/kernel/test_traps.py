"""The traps of an actor kernel on asyncio, each as a test."""

from __future__ import annotations

import asyncio
import gc
import weakref
from dataclasses import replace
from typing import Any

import pytest

from ironforge.actors.kernel import ActorDead, ActorFailed, Down, Exit, MailboxFull, Restart, SelfAsk, Stop, Strategy
from tests.actors.kernel.kit import (
    Become,
    Boom,
    Do,
    Hostile,
    Puppet,
    boss,
    crash,
    echo,
    is_dead,
    number,
    settle,
    spec,
    until,
)

ALL = Strategy.ONE_FOR_ALL


async def test_a_crashing_supervisor_leaves_no_orphans(system):
    log: list[Any] = []
    node = await system.spawn(boss("node", boss("sub", spec("a", lambda: Puppet(log)), restart=Restart.TEMPORARY)))
    await system.ref("node/sub").tell(Become("crash", ""))
    await until(lambda: system.alive() == ["node"], "the end of the subtree")
    assert log == ["started", ("stopping", "its parent ended"), ("stopped", Exit.NORMAL)]
    assert await is_dead(system.ref("node/sub/a"))
    node.stop()


async def test_a_killed_supervisor_leaves_no_orphans(system):
    await system.spawn(boss("node", boss("sub", spec("a"), spec("b"), restart=Restart.TEMPORARY)))
    system.cells["node/sub"].life.task.cancel()
    await until(lambda: list(system.cells) == ["node"], "the end of the subtree")
    assert system.alive() == ["node"]


async def test_a_supervisor_cancelled_by_a_stranger_while_it_stops_leaves_no_orphans(system):
    gate = asyncio.Event()
    slow = spec("slow", lambda: Puppet(stopping=lambda _: gate.wait()))
    ref = await system.spawn(boss("node", spec("a"), slow))
    ref.stop()
    await until(lambda: system.cells["node/slow"].life.actor.log[-1] != "started", "the stop of the child")
    system.cells["node"].life.task.cancel()
    assert await system.wait(ref) is Exit.KILLED
    await until(lambda: system.alive() == [], "the end of the children")
    assert system.cells == {}


async def test_a_reference_survives_the_restart_of_a_whole_subtree(system):
    await system.spawn(boss("node", boss("sub", spec("a"))))
    ref = system.ref("node/sub/a")
    first = number(system, "node/sub/a")
    await system.ref("node/sub").tell(Become("crash", ""))
    await until(lambda: number(system, "node/sub") > first, "the restart")
    await until(lambda: "node/sub/a" in system.cells, "the restart of the child")
    assert await echo(ref) == "hello"
    assert number(system, "node/sub/a") > first


async def test_messages_that_waited_survive_a_restart_but_the_failing_one_does_not(system):
    log: list[Any] = []
    await system.spawn(boss("node", spec("a", lambda: Puppet(log))))
    ref = system.ref("node/a")
    ref.try_tell(Do("crash"))
    ref.try_tell(Do("note", "kept"))
    await until(lambda: "kept" in log, "the kept message")
    assert log == ["started", ("stopped", Exit.FAILED), "started", "kept"]


async def test_a_child_whose_mailbox_is_not_kept_starts_with_an_empty_one(system):
    log: list[Any] = []
    await system.spawn(boss("node", replace(spec("a", lambda: Puppet(log)), keeps_mailbox=False)))
    ref = system.ref("node/a")
    ref.try_tell(Do("crash"))
    ref.try_tell(Do("note", "void"))
    asker = asyncio.create_task(echo(ref))
    with pytest.raises(ActorDead, match="node/a ended before it answered"):
        await asker
    assert await echo(ref) == "hello"
    assert log == ["started", ("stopped", Exit.FAILED), "started"]


async def test_mutual_tells_into_full_mailboxes_wait_for_ever_but_can_be_cancelled_cleanly(system):
    log: list[Any] = []
    outcome: dict[str, str] = {}
    met = asyncio.Barrier(2)

    async def collide(me: Puppet) -> None:
        other = system.ref("right" if me.ref.address == "left" else "left")
        await met.wait()
        other.try_tell(Do("note", f"first to {other.address}"))
        await met.wait()
        with pytest.raises(MailboxFull):  # what upstream senders should use
            other.try_tell(Do("note", "refused"))
        try:
            async with asyncio.timeout(0.02):
                await other.tell(Do("note", "never delivered"))
        except TimeoutError:
            outcome[me.ref.address] = "deadlock detected"
        await met.wait()  # whoever returned first would make room for the other

    refs = [
        await system.spawn(spec(name, lambda: Puppet(log, collide=collide), capacity=1)) for name in ("left", "right")
    ]
    for ref in refs:
        await ref.tell(Do("collide"))
    await until(lambda: len(outcome) == 2, "both to give up")
    assert [await echo(ref) for ref in refs] == ["hello", "hello"]
    assert sorted(log) == ["first to left", "first to right", "started", "started"]


async def test_a_full_mailbox_refuses_its_own_actor_instead_of_hanging_it(system):
    async def fill(me: Puppet) -> str:
        await me.ref.tell(Do("echo"))
        with pytest.raises(MailboxFull):
            await me.ref.tell(Do("echo"))
        return "refused"

    ref = await system.spawn(spec("a", lambda: Puppet(fill=fill), capacity=1))
    assert await ref.ask(Do("fill"), timeout_seconds=5) == "refused"


async def test_asking_oneself_is_refused_at_once_even_through_gather(system):
    async def ask(me: Puppet) -> str:
        with pytest.raises(SelfAsk, match="a asked itself"):
            await me.ref.ask(Do("echo"), timeout_seconds=60)
        with pytest.raises(SelfAsk):
            await asyncio.gather(me.ref.ask(Do("echo"), timeout_seconds=60))
        return "refused"

    ref = await system.spawn(spec("a", lambda: Puppet(ask=ask)))
    assert await ref.ask(Do("ask"), timeout_seconds=5) == "refused"


async def test_a_stop_left_in_a_kept_mailbox_does_not_end_the_next_incarnation(system):
    def throw(me: Puppet) -> None:
        me.ref.stop("meant for this incarnation")
        raise Boom

    await system.spawn(boss("node", spec("a", lambda: Puppet(throw=throw))))
    await system.ref("node/a").tell(Do("throw"))
    await until(lambda: number(system, "node/a") == 3, "the restart")
    assert await echo(system.ref("node/a")) == "hello"
    assert number(system, "node/a") == 3


async def test_a_late_down_of_an_older_incarnation_is_ignored(system):
    await system.spawn(boss("node", spec("a")))
    await crash(system, "node/a")
    await until(lambda: number(system, "node/a") == 3, "the restart")
    for late in (Down("node/a", 2, Exit.FAILED, None), Down("node/gone", 1, Exit.FAILED, None)):
        system.cells["node"].mailbox.signal(late)
    await settle()
    assert number(system, "node/a") == 3


async def test_the_system_holds_its_tasks_strongly(system):
    finished: list[str] = []
    waiting: list[weakref.ref[asyncio.Future[None]]] = []

    async def wait_for_nobody() -> None:
        future = asyncio.get_running_loop().create_future()
        waiting.append(weakref.ref(future))
        await future
        finished.append("background")

    def begin(me: Puppet) -> None:
        me.background(wait_for_nobody())

    ref = await system.spawn(spec("a", lambda: Puppet(begin=begin)))
    await ref.tell(Do("begin"))
    await settle()
    gc.collect()
    assert system.tasks == 2
    [future] = waiting
    future().set_result(None)
    await until(lambda: finished == ["background"], "the background task")
    assert await echo(ref) == "hello"


async def test_the_failure_of_one_child_does_not_cancel_its_siblings(system):
    log: list[Any] = []
    gate = asyncio.Event()
    await system.spawn(boss("node", spec("a"), spec("b", lambda: Puppet(log, hold=lambda _: gate.wait()))))
    await system.ref("node/b").tell(Do("hold"))
    await settle()
    await crash(system, "node/a")
    assert await echo(system.ref("node/a")) == "hello"
    gate.set()
    assert await echo(system.ref("node/b")) == "hello"
    assert log == ["started"]
    assert number(system, "node/b") == 3


async def test_a_cancelled_tell_to_a_full_actor_is_not_delivered_and_frees_its_place(system):
    gate, log = asyncio.Event(), []
    ref = await system.spawn(spec("a", lambda: Puppet(log, hold=lambda _: gate.wait()), capacity=1))
    await ref.tell(Do("hold"))
    await settle()
    await ref.tell(Do("note", 1))
    second, third = (asyncio.create_task(ref.tell(Do("note", value))) for value in (2, 3))
    await settle()
    second.cancel()
    gate.set()
    await third
    await echo(ref)
    assert log == ["started", 1, 3]


async def test_a_crash_in_the_first_start_fails_the_parent(system):
    def throw(_: Puppet) -> None:
        raise Boom("cannot start")

    log: list[Any] = []
    tree = boss("node", spec("a", lambda: Puppet(log)), spec("b", lambda: Puppet(started=throw)))
    with pytest.raises(ActorFailed, match=r"node did not start: ActorFailed\(.*node/b did not start: Boom"):
        await system.spawn(tree)
    assert log == ["started", ("stopping", "its parent ended"), ("stopped", Exit.NORMAL)]
    assert system.cells == {}
    assert await system.wait(system.ref("node")) is Exit.FAILED


async def test_a_crash_in_the_constructor_is_a_crash_in_the_start(system):
    with pytest.raises(ActorFailed, match="a did not start: ZeroDivisionError"):
        await system.spawn(spec("a", lambda: 1 / 0))


async def test_a_crash_in_a_later_start_spends_the_budget(system):
    starts: list[int] = []

    def throw_twice(_: Puppet) -> None:
        starts.append(1)
        if len(starts) in {2, 3}:
            raise Boom

    await system.spawn(boss("node", spec("a", lambda: Puppet(started=throw_twice))))
    await crash(system, "node/a")
    await until(lambda: len(starts) == 4, "the third attempt")
    assert await echo(system.ref("node/a")) == "hello"
    ref = system.ref("node")
    await crash(system, "node/a")
    assert await system.wait(ref) is Exit.FAILED


async def test_an_error_that_cannot_be_printed_is_still_a_reported_crash(system, caplog):
    def throw(_: Puppet) -> None:
        raise Hostile

    watcher_log: list[Any] = []
    watcher = await system.spawn(spec("w", lambda: Puppet(watcher_log)))
    ref = await system.spawn(spec("a", lambda: Puppet(throw=throw)))
    system.monitor(watcher, ref)
    with pytest.raises(ActorFailed, match="<Hostile whose repr raised>"):
        await ref.ask(Do("throw"), timeout_seconds=5)
    await until(lambda: len(watcher_log) == 2, "the Down")
    assert isinstance(watcher_log[1].error, Hostile)
    assert "a: crashed in Do: <Hostile whose repr raised>" in caplog.text


async def test_a_stop_overtakes_the_messages_that_wait(system):
    log: list[Any] = []
    ref = await system.spawn(spec("a", lambda: Puppet(log)))
    for _ in range(10):
        ref.try_tell(Do("note", "waiting"))
    ref.stop("now")
    assert await system.wait(ref) is Exit.NORMAL
    assert log == ["started", ("stopping", "now"), ("stopped", Exit.NORMAL)]
    assert Stop("now").reason == "now"
