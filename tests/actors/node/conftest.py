"""A whole node, in this process, on a real server; every test has a namespace of its own and leaves nothing in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.actors.node.kit import World
from tests.support.servers import valkey


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with valkey() as url:
        yield url


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every promise holds with several shards as well, but for those that are given within a shard."""
    if "shards" in metafunc.fixturenames:
        alone = metafunc.definition.get_closest_marker("one_shard") is not None
        metafunc.parametrize("shards", [1] if alone else [1, 3])


@pytest.fixture
async def world(redis_url: str, shards: int) -> AsyncIterator[World]:
    """Fails the test when a task, a key without an owner, or a job in two places is left over."""
    before = asyncio.all_tasks()
    world = World(redis_url, shards)
    yield world
    await world.close()
    assert asyncio.all_tasks() <= before | {asyncio.current_task()}
