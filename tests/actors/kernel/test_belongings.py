"""What belongs to one incarnation and ends with it: background tasks and timers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ironforge.actors.kernel import ActorDead, ActorFailed, Exit
from tests.actors.kernel.kit import Boom, Do, Puppet, boss, echo, number, settle, spec, until


async def test_a_failing_background_task_fails_the_actor_in_the_middle_of_a_message(system, caplog):
    log: list[Any] = []

    async def fail() -> None:
        raise Boom("behind the scenes")

    def begin(me: Puppet) -> Any:
        me.background(fail(), name="helper")
        return asyncio.Event().wait()

    ref = await system.spawn(spec("a", lambda: Puppet(log, begin=begin)))
    with pytest.raises(ActorFailed, match="behind the scenes"):
        await ref.ask(Do("begin"), timeout_seconds=5)
    assert await system.wait(ref) is Exit.FAILED
    assert log == ["started", ("stopped", Exit.FAILED)]
    assert "a: crashed in helper: Boom('behind the scenes')" in caplog.text


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
async def test_a_background_task_cannot_take_the_loop_down(system, error):
    async def fail() -> None:
        raise error

    ref = await system.spawn(spec("a", lambda: Puppet(started=lambda me: me.background(fail()) and None)))
    assert await system.wait(ref) is Exit.FAILED


async def test_a_second_failing_task_is_logged_only(system, caplog):
    async def fail(text: str) -> None:
        raise Boom(text)

    def begin(me: Puppet) -> None:
        me.background(fail("first"))
        me.background(fail("second"), name="second helper")

    ref = await system.spawn(spec("a", lambda: Puppet(begin=begin)))
    await ref.tell(Do("begin"))
    assert await system.wait(ref) is Exit.FAILED
    assert "a: second helper failed as well: Boom('second')" in caplog.text


async def test_a_finished_or_cancelled_background_task_does_not_matter(system):
    async def begin(me: Puppet) -> None:
        assert await me.background(asyncio.sleep(0, "done")) == "done"
        me.background(asyncio.Event().wait()).cancel()

    ref = await system.spawn(spec("a", lambda: Puppet(begin=begin)))
    await ref.tell(Do("begin"))
    await settle()
    assert await echo(ref) == "hello"
    assert system.tasks == 1


async def test_a_background_task_may_ask_its_own_actor(system):
    answers: list[Any] = []

    async def ask(me: Puppet) -> None:
        answers.append(await echo(me.ref, 7))

    ref = await system.spawn(spec("a", lambda: Puppet(begin=lambda me: me.background(ask(me)) and None)))
    await ref.tell(Do("begin"))
    await until(lambda: answers == [7], "the answer")


async def test_an_ended_actor_can_own_nothing_new(system):
    seen: list[str] = []

    def late(me: Puppet) -> None:
        for attempt in (lambda: me.background(asyncio.sleep(0)), lambda: me.after(1.0, Do("echo"))):
            with pytest.raises(ActorDead, match="a is ending"):
                attempt()
        me.stop_self()
        seen.append("refused twice")

    ref = await system.spawn(spec("a", lambda: Puppet(stopped=late)))
    ref.stop()
    assert await system.wait(ref) is Exit.NORMAL
    assert seen == ["refused twice"]


async def test_a_timer_sends_its_message_by_the_clock_unless_cancelled(system, clock):
    log: list[Any] = []

    def begin(me: Puppet) -> None:
        me.after(2.0, Do("note", "later"))
        me.after(1.0, Do("note", "sooner"))
        me.after(1.5, Do("note", "never")).cancel()

    ref = await system.spawn(spec("a", lambda: Puppet(log, begin=begin)))
    await ref.tell(Do("begin"))
    await echo(ref)
    assert system.timers == 2
    await clock.advance(0.9)
    assert log == ["started"]
    await clock.advance(0.1)
    assert log == ["started", "sooner"]
    await clock.advance(5.0)
    assert log == ["started", "sooner", "later"]
    assert system.timers == 0


async def test_a_timer_ends_with_its_incarnation(system, clock):
    log: list[Any] = []

    def begin(me: Puppet) -> None:
        me.after(1.0, Do("note", "from incarnation one"))

    await system.spawn(boss("b", spec("a", lambda: Puppet(log, begin=begin))))
    ref = system.ref("b/a")
    await ref.tell(Do("begin"))
    await ref.tell(Do("crash"))
    await until(lambda: number(system, "b/a") == 3, "the restart")
    assert system.timers == 0
    await clock.advance(2.0)
    assert "from incarnation one" not in log


async def test_a_timer_that_finds_the_mailbox_full_waits_for_room(system, clock):
    log: list[Any] = []
    gate = asyncio.Event()

    def begin(me: Puppet) -> None:
        me.after(1.0, Do("note", "tick"))

    ref = await system.spawn(spec("a", lambda: Puppet(log, begin=begin, block=lambda _: gate.wait()), capacity=1))
    await ref.tell(Do("begin"))
    await echo(ref)
    await ref.tell(Do("block"))
    await settle()
    ref.try_tell(Do("note", "before"))
    await clock.advance(1.0)
    gate.set()
    await until(lambda: log == ["started", "before", "tick"], "the tick")


async def test_a_timer_refuses_at_once_what_cannot_be_sent(system):
    ref = await system.spawn(spec("a", lambda: Puppet(begin=lambda me: me.after(1.0, Do("x", object())))))
    with pytest.raises(ActorFailed, match="BadFrame"):
        await ref.ask(Do("begin"), timeout_seconds=5)


async def test_a_task_left_behind_that_fails_late_does_not_disturb_the_clean_up(system, caplog):
    log: list[Any] = []
    gate = asyncio.Event()

    async def linger() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await gate.wait()
            raise Boom from None

    async def clean_up(_: Puppet) -> None:
        gate.set()
        await settle(5)
        log.append("clean")

    def begin(me: Puppet) -> None:
        me.background(linger(), name="lingerer")

    ref = await system.spawn(spec("a", lambda: Puppet(started=begin, stopped=clean_up), shutdown_seconds=0.1))
    await settle()
    ref.stop()
    assert await system.wait(ref) is Exit.NORMAL
    assert log == ["clean"]
    assert "a: lingerer failed as well: Boom()" in caplog.text
