"""A whole node, in this process, on a real server; every test has a namespace of its own and leaves nothing in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.node.kit import World
from tests.support.servers import valkey


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with valkey() as url:
        yield url


@pytest.fixture
async def world(redis_url: str) -> AsyncIterator[World]:
    """Fails the test when a task, a key without an owner, or a job in two places is left over."""
    before = asyncio.all_tasks()
    world = World(redis_url)
    yield world
    await world.close()
    assert asyncio.all_tasks() <= before | {asyncio.current_task()}
