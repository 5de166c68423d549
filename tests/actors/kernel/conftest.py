"""A system that leaves nothing behind, on both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import uvloop

from ironforge.actors.kernel import ActorSystem, ManualClock


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(config, item):
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def system(clock: ManualClock) -> AsyncIterator[ActorSystem]:
    """Fails the test when an actor, a timer, a task, a pending ask or an address is left over."""
    before = asyncio.all_tasks()
    kept = ActorSystem(clock, kill_seconds=0.2)
    yield kept
    survivors = await kept.shutdown(5.0)
    assert survivors == []
    assert kept.tasks == 0
    assert kept.timers == 0
    assert len(kept.asks) == 0
    assert kept.cells == {}
    assert asyncio.all_tasks() <= before | {asyncio.current_task()}
    assert clock.pending == 0
