"""What one actor does: messages in order, hooks, tasks and timers of its own, and how it ends."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, NamedTuple

import pytest

from actors.kernel import Actor, ActorDead, ActorFailed, AskTimeout, BadFrame, Exit, MailboxFull, handles, message
from tests.kernel.kit import Boom, Do, Hostile, Puppet, Unheard, boss, echo, number, settle, spec, until


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


async def test_sending_to_an_address_nobody_lives_at(system):
    ref = system.ref("nobody")
    ref.stop()
    for send in (ref.tell(Do("echo")), ref.ask(Do("echo"), timeout_seconds=5)):
        with pytest.raises(ActorDead, match="no actor lives at nobody"):
            await send
    with pytest.raises(ActorDead):
        ref.try_tell(Do("echo"))


async def test_sending_what_is_no_message(system):
    ref = await system.spawn(spec("a"))
    with pytest.raises(BadFrame, match="tuple is not a registered message"):
        await ref.tell((1, 2))


async def test_an_ask_without_an_answer_times_out_and_is_forgotten(system):
    gate = asyncio.Event()
    ref = await system.spawn(spec("a", lambda: Puppet(block=lambda _: gate.wait()), capacity=1))
    with pytest.raises(AskTimeout, match=r"a gave no answer to Do in 0\.01 s"):
        await ref.ask(Do("block"), timeout_seconds=0.01)
    ref.try_tell(Do("echo"))
    with pytest.raises(TimeoutError):
        await echo_within(ref, 0.01)  # not even room
    with pytest.raises(MailboxFull, match="a has 1 messages waiting"):
        ref.try_tell(Do("echo"))
    assert len(system.asks) == 0
    gate.set()
    assert await echo(ref) == "hello"


async def echo_within(ref, seconds: float) -> Any:
    return await ref.ask(Do("echo"), timeout_seconds=seconds)


async def test_an_ask_is_forgotten_when_its_asker_is_cancelled(system):
    gate = asyncio.Event()
    ref = await system.spawn(spec("a", lambda: Puppet(block=lambda _: gate.wait())))
    asker = asyncio.create_task(ref.ask(Do("block"), timeout_seconds=60))
    await until(lambda: len(system.asks) == 1, "the ask")
    asker.cancel()
    await asyncio.wait([asker])
    assert len(system.asks) == 0
    gate.set()
    assert await echo(ref) == "hello"


async def test_an_ask_answered_in_the_turn_its_asker_is_cancelled_leaves_no_trace(system):
    gate = asyncio.Event()
    ref = await system.spawn(spec("a", lambda: Puppet(block=lambda _: gate.wait())))
    asker = asyncio.create_task(ref.ask(Do("block"), timeout_seconds=60))
    await until(lambda: len(system.asks) == 1, "the ask")
    system.asks.answer(1, ActorDead("in the same turn"))
    system.asks.answer(1, ActorDead("and again"))
    asker.cancel()
    await asyncio.wait([asker])
    assert asker.cancelled()
    gate.set()


async def test_askers_in_the_queue_of_an_actor_that_ends_for_good_are_told(system):
    gate = asyncio.Event()
    ref = await system.spawn(spec("a", lambda: Puppet(block=lambda _: gate.wait())))
    await ref.tell(Do("block"))
    asker = asyncio.create_task(echo(ref))
    elsewhere = await system.spawn(spec("b", lambda: Puppet(block=lambda _: gate.wait())))
    unaffected = asyncio.create_task(elsewhere.ask(Do("block"), timeout_seconds=5))
    await until(lambda: len(system.asks) == 2, "the asks")
    ref.stop()
    system.cells["a"].life.kill()
    with pytest.raises(ActorDead, match="a ended before it answered"):
        await asker
    gate.set()
    assert await unaffected is True


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
