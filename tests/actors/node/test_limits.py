"""A real node announces the limits of its application, and goes by them."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from ironforge import Forge, Use
from ironforge.errors import ConfigError
from ironforge.job.limits import Override
from ironforge.job.record import parse_id
from ironforge.redis.shards import shards_of
from ironforge.runtime.node import running
from ironforge.store import StoreClient
from tests.actors.node.kit import World
from tests.support.waiting import until


async def test_jobs_of_a_key_run_one_at_a_time_and_an_override_survives_a_restart(world: World) -> None:
    settings = world.settings
    most: dict[str, int] = {}
    now: dict[str, int] = {}
    forge = Forge(settings)
    forge.limit("account", concurrency=1)

    @forge.job("charge", limits=[Use("account", key="account")])
    async def charge(account: str) -> None:
        now[account] = now.get(account, 0) + 1
        most[account] = max(most.get(account, 0), now[account])
        await asyncio.sleep(0)
        now[account] -= 1

    store_client = StoreClient(settings)
    async with running(forge, settings):
        payloads = [{"account": name} for name in "ab" * 10]
        submitted = await asyncio.gather(*(forge.submit("charge", payload) for payload in payloads))
        ids = [parse_id(job_id) for job_id in submitted]
        views = []
        while not views or any(view.state != "completed" for view in views):
            views = [await store_client.inspector.get(job_id) for job_id in ids]
        assert most == {"a": 1, "b": 1}
        await store_client.limits.override("account", Override(concurrency=3))
    async with running(forge, settings):
        found = await store_client.limits.get("account")
    assert found.override == Override(concurrency=3)
    await forge.close()
    await store_client.close()


async def test_a_node_does_not_start_with_more_limits_than_there_may_be(world: World) -> None:
    forge = Forge()
    forge.limit("a", concurrency=1)
    forge.limit("b", concurrency=1)
    with pytest.raises(ConfigError, match="may define 1 limits"):
        async with running(forge, msgspec.structs.replace(world.settings, max_limits=1)):
            pytest.fail("it started")


async def test_a_place_without_a_job_is_counted_and_mended_by_a_running_node(world: World) -> None:
    """In each shard."""
    shards = shards_of(world.settings)
    for keys in shards:
        world.cluster.raw.zadd(keys.holders("account\na"), {b"of no job, alas!": 1})
        world.cluster.raw.hset(keys.in_use, "account\na", "")
    async with world.node() as node:

        def lost() -> float:
            return node.metrics.registry.get_sample_value("ironforge_limit_places_lost_total") or 0.0

        await until(lambda: lost() == len(shards), "each of them to be found")
    assert [world.cluster.raw.exists(keys.holders("account\na")) for keys in shards] == [0] * len(shards)
