"""Sending and asking: addresses without an actor, time-outs, askers that go away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ironforge.actors.kernel import ActorDead, AskTimeout, BadFrame, MailboxFull
from tests.actors.kernel.kit import Do, Puppet, echo, spec, until


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
