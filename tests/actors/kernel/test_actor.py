"""What one actor does: messages in order, its hooks, and how it ends."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, NamedTuple

import pytest

from ironforge.actors.kernel import Actor, ActorFailed, Exit, handles, message
from tests.actors.kernel.kit import Boom, Do, Hostile, Puppet, Unheard, echo, number, settle, spec, until


@message
class Plain(NamedTuple):
    value: int


class Base(Actor):
    @handles(Plain)
    def plain(self, order: Plain) -> int:
        return order.value


class Doubled(Base):
    def plain(self, order: Plain) -> int:
        return 2 * order.value


async def test_a_plain_method_handles_a_message_and_answers(system):
    ref = await system.spawn(spec("a", Base))
    assert await ref.ask(Plain(3), timeout_seconds=5) == 3


async def test_an_overridden_handler_needs_no_second_mark(system):
    ref = await system.spawn(spec("a", Doubled))
    assert await ref.ask(Plain(3), timeout_seconds=5) == 6


def test_a_message_handled_twice_in_one_class_is_refused():
    with pytest.raises(TypeError, match="handles Plain twice: in one and in two"):

        class Torn(Actor):
            @handles(Plain)
            def one(self, order: Plain) -> None: ...

            @handles(Plain)
            def two(self, order: Plain) -> None: ...


def test_handling_an_unregistered_class_is_refused():
    with pytest.raises(TypeError, match="decorate it with @message"):
        handles(tuple)


async def test_messages_are_handled_in_the_order_they_were_sent(system):
    log: list[Any] = []
    ref = await system.spawn(spec("a", lambda: Puppet(log), capacity=4))
    for index in range(100):
        await ref.tell(Do("note", index))
    await echo(ref)
    assert log == ["started", *range(100)]


async def test_a_busy_actor_lets_others_run(system):
    def again(me: Puppet) -> None:
        if not stop:
            me.ref.try_tell(Do("again"))

    stop: list[int] = []
    ref = await system.spawn(spec("a", lambda: Puppet(again=again)))
    ref.try_tell(Do("again"))
    await settle()
    stop.append(1)


async def test_an_answer_comes_back_as_plain_values(system):
    ref = await system.spawn(spec("a"))
    assert await echo(ref, [1, b"x", None, {"k": [2.5]}]) == (1, b"x", None, {"k": (2.5,)})


async def test_the_sender_of_a_message_is_known_to_its_handler(system):
    def who(me: Puppet) -> str | None:
        return me.sender and me.sender.address

    target = await system.spawn(spec("target", lambda: Puppet(who=who)))
    asker = await system.spawn(spec("asker", lambda: Puppet(ask=lambda _: target.ask(Do("who"), timeout_seconds=5))))
    assert await target.ask(Do("who"), timeout_seconds=5) is None
    assert await asker.ask(Do("ask"), timeout_seconds=5) == "asker"


async def test_an_unknown_message_is_logged_and_counted_but_harmless(system, caplog):
    ref = await system.spawn(spec("a"))
    await ref.tell(Unheard())
    with pytest.raises(ActorFailed, match="a does not handle Unheard"):
        await ref.ask(Unheard(), timeout_seconds=5)
    assert system.unhandled == {"Unheard": 2}
    assert number(system, "a") == 1
    assert "a: dropped Unheard: no handler" in caplog.text


async def test_a_malformed_frame_is_logged_and_counted_but_harmless(system):
    ref = await system.spawn(spec("a"))
    system.cells["a"].mailbox.try_put(b"\xc1")
    assert await echo(ref) == "hello"
    assert system.unhandled == {"BadFrame": 1}


async def test_a_crash_in_an_ask_ends_the_actor_and_reaches_the_asker(system, caplog):
    ref = await system.spawn(spec("a"))
    with pytest.raises(ActorFailed, match=r"a ended in Do: Boom\('told to'\)") as caught:
        await ref.ask(Do("crash"), timeout_seconds=5)
    assert isinstance(caught.value.__cause__, Boom)
    assert await system.wait(ref) is Exit.FAILED
    assert "a: crashed in Do: Boom('told to')" in caplog.text


async def test_an_answer_that_cannot_be_packed_is_a_crash(system):
    ref = await system.spawn(spec("a", lambda: Puppet(odd=lambda _: object())))
    with pytest.raises(ActorFailed, match="reply cannot be packed"):
        await ref.ask(Do("odd"), timeout_seconds=5)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, Hostile])
async def test_whatever_a_handler_raises_ends_only_its_incarnation(system, error, caplog):
    def throw(_: Puppet) -> None:
        raise error

    ref = await system.spawn(spec("a", lambda: Puppet(throw=throw)))
    with pytest.raises(ActorFailed, match=error.__name__):
        await ref.ask(Do("throw"), timeout_seconds=5)
    assert await system.wait(ref) is Exit.FAILED
    assert error.__name__ in caplog.text


async def test_an_actor_that_stops_itself_ends_normally_and_leaves_the_rest_unread(system, caplog):
    caplog.set_level(logging.INFO)
    log: list[Any] = []
    ref = await system.spawn(spec("a", lambda: Puppet(log, end=Puppet.stop_self)))
    ref.try_tell(Do("end"))
    ref.try_tell(Do("note", "unread"))
    assert await system.wait(ref) is Exit.NORMAL
    assert log == ["started", ("stopping", "stopped itself"), ("stopped", Exit.NORMAL)]
    assert "a: ended with 1 messages waiting" in caplog.text


async def test_stopping_lets_background_work_finish_and_stopped_sees_it_gone(system):
    log: list[Any] = []
    done = asyncio.Event()

    async def work() -> None:
        await done.wait()
        log.append("worked")

    async def drain(me: Puppet) -> None:
        done.set()
        await me.job

    def begin(me: Puppet) -> None:
        me.job = me.background(work())
        me.other = me.background(asyncio.Event().wait())

    def after(me: Puppet) -> None:
        log.append(me.other.cancelled())

    ref = await system.spawn(spec("a", lambda: Puppet(log, started=begin, stopping=drain, stopped=after)))
    ref.stop("enough")
    assert await system.wait(ref) is Exit.NORMAL
    assert log == ["started", ("stopping", "enough"), "worked", ("stopped", Exit.NORMAL), True]


@pytest.mark.parametrize("hook", ["stopping", "stopped"])
async def test_a_crash_in_an_ending_hook_is_a_failure(system, hook):
    def throw(_: Puppet) -> None:
        raise Boom

    ref = await system.spawn(spec("a", lambda: Puppet(**{hook: throw})))
    ref.stop()
    assert await system.wait(ref) is Exit.FAILED


async def test_an_ending_hook_that_hangs_is_cut_off(system):
    hang = lambda _: asyncio.Event().wait()  # noqa: E731
    ref = await system.spawn(spec("a", lambda: Puppet(stopped=hang), shutdown_seconds=0.01))
    await ref.tell(Do("crash"))
    assert await system.wait(ref) is Exit.FAILED


async def test_a_crash_while_a_stop_waits_its_turn_stays_a_failure(system):
    async def hang_then_crash(me: Puppet) -> None:
        me.ref.stop("waits its turn")
        raise Boom

    ref = await system.spawn(spec("a", lambda: Puppet(step=hang_then_crash)))
    await ref.tell(Do("step"))
    assert await system.wait(ref) is Exit.FAILED


async def test_the_first_cause_of_an_end_is_the_one_reported(system):
    def throw(_: Puppet) -> None:
        raise KeyError("while cleaning up")

    log: list[Any] = []
    watcher = await system.spawn(spec("w", lambda: Puppet(log)))
    ref = await system.spawn(spec("a", lambda: Puppet(stopped=throw)))
    system.monitor(watcher, ref)
    await ref.tell(Do("crash"))
    await until(lambda: len(log) == 2, "the Down")
    assert isinstance(log[1].error, Boom)


async def test_a_cancelled_actor_cleans_up_undisturbed_by_its_cancellation(system):
    log: list[Any] = []

    async def clean_up(me: Puppet) -> None:
        log.append(asyncio.current_task().cancelling())
        me.life_to_kill_again.kill()
        await settle(3)
        log.append("clean")

    ref = await system.spawn(spec("a", lambda: Puppet(stopped=clean_up)))
    life = system.cells["a"].life
    life.actor.life_to_kill_again = life
    life.kill()
    assert await system.wait(ref) is Exit.KILLED
    assert log == [0, "clean"]
