"""Batches on their way to the store: what gathers while one is written goes with the next."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from ironforge.actors.kernel import ActorSystem
from ironforge.actors.session import Session
from ironforge.actors.write_buffer import LARGEST_BATCH, MOST_WAITING, WriteBuffer
from ironforge.metrics.jobs import Metrics
from tests.support.waiting import until


class Slow:
    """A store that writes one batch whenever it is let."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.turns = asyncio.Semaphore(0)
        session = Session(ActorSystem(), cast("Any", None), Metrics())
        self.buffer: WriteBuffer[int] = WriteBuffer(session, self.write, asyncio.create_task)

    async def write(self, batch: Sequence[int]) -> None:
        self.batches.append(len(batch))
        await self.turns.acquire()

    def let_go_on(self) -> None:
        for _ in range(100):
            self.turns.release()


@pytest.fixture
async def slow() -> Slow:
    return Slow()


async def test_what_comes_while_a_batch_is_written_goes_together(slow: Slow) -> None:
    slow.buffer.add([1])
    await until(lambda: slow.batches == [1], "the first batch")
    for number in range(5):
        slow.buffer.add([number, number])
    assert slow.buffer.pending == 11
    slow.let_go_on()
    await slow.buffer.written()
    assert slow.batches == [1, 10]
    assert slow.buffer.pending == 0


async def test_a_batch_is_no_larger_than_the_largest(slow: Slow) -> None:
    slow.let_go_on()
    slow.buffer.add(range(2 * LARGEST_BATCH + 1))
    await slow.buffer.written()
    assert slow.batches == [LARGEST_BATCH, LARGEST_BATCH, 1]


async def test_there_is_no_room_only_while_too_many_wait(slow: Slow) -> None:
    slow.buffer.add(range(MOST_WAITING))
    await slow.buffer.room()
    slow.buffer.add([1])
    waiting = asyncio.create_task(slow.buffer.room())
    await until(lambda: slow.batches == [MOST_WAITING + 1], "the first batch")
    assert not waiting.done()
    slow.let_go_on()
    await waiting
    assert slow.buffer.pending == 0


async def test_nothing_to_write_is_written_at_once(slow: Slow) -> None:
    slow.buffer.add([])
    await slow.buffer.written()
    assert slow.batches == []
