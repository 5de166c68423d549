"""The mailbox: two lanes, a bound, a line of waiting senders, and no lost wake-up."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironforge.actors.kernel import ActorDead, Mailbox, MailboxFull, Stop
from tests.actors.kernel.kit import settle


async def test_signals_overtake_messages_and_know_no_bound():
    box = Mailbox(1)
    box.try_put(b"1")
    box.signal(Stop("a"))
    box.signal(Stop("b"))
    assert [await box.get() for _ in range(3)] == [Stop("a"), Stop("b"), b"1"]


async def test_a_full_mailbox_refuses_or_lets_wait():
    box = Mailbox(2, "here")
    box.try_put(b"1")
    await box.put(b"2")
    with pytest.raises(MailboxFull, match="here has 2 messages waiting"):
        box.try_put(b"3")
    waiting = asyncio.create_task(box.put(b"3"))
    await settle()
    assert len(box) == 2
    assert await box.get() == b"1"
    await waiting
    assert [await box.get(), await box.get()] == [b"2", b"3"]
    assert box.high_water == 2


async def test_a_receiver_waits_for_either_lane():
    box = Mailbox(1)
    for put, item in ((box.signal, Stop("x")), (box.try_put, b"1")):
        receiver = asyncio.create_task(box.get())
        await settle()
        put(item)
        assert await receiver == item


async def test_a_cancelled_receiver_takes_nothing_with_it():
    box = Mailbox(1)
    receiver = asyncio.create_task(box.get())
    await settle()
    box.try_put(b"1")
    receiver.cancel()
    await asyncio.wait([receiver])
    assert await box.get() == b"1"


async def test_a_cancelled_tell_that_owned_a_slot_passes_it_on():
    box = Mailbox(1)
    box.try_put(b"0")
    first, second = (asyncio.create_task(box.put(frame)) for frame in (b"1", b"2"))
    await settle()
    await box.get()
    with pytest.raises(MailboxFull):  # the free slot is already granted
        box.try_put(b"x")
    first.cancel()
    await asyncio.wait([first, second])
    assert first.cancelled()
    assert await box.get() == b"2"
    assert len(box) == 0


async def test_a_cancelled_tell_that_was_still_in_line_leaves_it():
    box = Mailbox(1)
    box.try_put(b"0")
    first, second = (asyncio.create_task(box.put(frame)) for frame in (b"1", b"2"))
    await settle()
    first.cancel()
    await settle()
    assert len(box._putters) == 1
    await box.get()
    await second
    assert await box.get() == b"2"


async def test_a_tell_cancelled_in_the_turn_a_slot_comes_free_does_not_swallow_it():
    box = Mailbox(1)
    box.try_put(b"0")
    first, second = (asyncio.create_task(box.put(frame)) for frame in (b"1", b"2"))
    await settle()
    first.cancel()
    await box.get()
    await asyncio.wait([first, second])
    assert await box.get() == b"2"


async def test_a_late_sender_does_not_overtake_one_that_was_granted_a_slot():
    box = Mailbox(2)
    box.try_put(b"0")
    box.try_put(b"1")
    first = asyncio.create_task(box.put(b"2"))
    await settle()
    second = asyncio.create_task(box.put(b"3"))  # runs between the grant and the waking of the first
    await box.get()
    await box.get()
    await asyncio.wait([first, second])
    assert [await box.get(), await box.get()] == [b"2", b"3"]


async def test_closing_drops_what_waits_and_tells_everyone():
    box = Mailbox(1, "here")
    box.try_put(b"0")
    sender, gone = (asyncio.create_task(box.put(frame)) for frame in (b"1", b"2"))
    await settle()
    gone.cancel()
    assert box.close() == 1
    with pytest.raises(ActorDead, match="here has ended"):
        await sender
    await asyncio.wait([gone])
    box.signal(Stop("late"))
    for attempt in (box.put(b"x"), box.get()):
        with pytest.raises(ActorDead):
            await attempt
    with pytest.raises(ActorDead):
        box.try_put(b"x")


async def test_closing_wakes_the_receiver():
    box = Mailbox(1)
    receiver = asyncio.create_task(box.get())
    await settle()
    box.close()
    with pytest.raises(ActorDead):
        await receiver


async def test_cleared_signals_are_gone_and_messages_kept():
    box = Mailbox(1)
    box.try_put(b"0")
    box.signal(Stop("stale"))
    box.clear_signals()
    assert await box.get() == b"0"


steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.just(0)),
        st.tuples(st.just("get"), st.just(0)),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        st.tuples(st.just("turn"), st.integers(1, 2)),
    ),
    max_size=60,
)


@given(capacity=st.integers(1, 3), script=steps)
def test_under_random_cancellation_order_bound_and_wake_ups_hold(capacity, script):
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(_play(capacity, script))
    finally:
        loop.close()


async def _play(capacity: int, script: list[tuple[str, int]]) -> None:
    box = Mailbox(capacity)
    puts: dict[bytes, asyncio.Task[None]] = {}
    received: list[bytes] = []
    for verb, value in script:
        if verb == "put":
            frame = str(len(puts)).encode()
            puts[frame] = asyncio.create_task(box.put(frame))
        elif verb == "get" and len(box):
            received.append(await box.get())  # does not suspend, so cancellations can hit granted slots
        elif verb == "cancel" and value < len(puts):
            list(puts.values())[value].cancel()
        elif verb == "turn":
            await settle(value)
        assert len(box) <= capacity
    await settle(10)
    while len(box):
        received.append(await box.get())
        await settle(10)
        assert len(box) <= capacity
    assert all(task.done() for task in puts.values()), "a sender waits although there is room"
    delivered = [frame for frame, task in puts.items() if not task.cancelled()]
    assert received == delivered
    assert box.high_water <= capacity
    box.try_put(b"still works")
