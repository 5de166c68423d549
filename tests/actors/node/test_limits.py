"""A real node announces the limits of its application, and goes by them."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from ironforge import Forge, Use
from ironforge.errors import ConfigError
from ironforge.job.limits import Override
from ironforge.job.record import parse_id
from ironforge.runtime.node import running
from ironforge.store import StoreClient
from tests.actors.node.kit import World


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
