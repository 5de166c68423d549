"""More than there is room for: callers hear what is full, how full, and when to come back; nothing is half accepted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from ironforge.client.client import AsyncClient
from ironforge.errors import QueueFull, StoreUnavailable
from ironforge.handlers.forge import Forge
from ironforge.settings import Settings

JOB = {"kind": "demo.echo"}


@pytest.fixture
def narrow(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, max_queue_length=3)


@pytest.fixture
async def forge(narrow: Settings) -> AsyncIterator[Forge]:
    async with Forge(narrow) as forge:
        yield forge


async def test_a_full_queue_is_a_429_that_says_which_one_and_how_full(start_api: Any, narrow: Settings) -> None:
    api = await start_api(narrow)
    batch = await api.call("POST", "/jobs/batch", json=[JOB] * 4)
    for _ in range(3):
        await api.submit()
    single = await api.call("POST", "/jobs", json=JOB)
    elsewhere = await api.call("POST", "/jobs", json={**JOB, "queue": "other"})

    for answer, length in ((batch, 0), (single, 3)):
        assert answer.status == 429
        assert answer.code == "queue_full"
        assert answer.body["queue"] == "default"
        assert answer.body["length"] == length
        assert answer.body["limit"] == 3
        assert int(answer.headers["Retry-After"]) >= 1
        assert "add nodes" in answer.body["detail"]
    assert elsewhere.status == 201
    assert len((await api.call("GET", "/jobs")).body["jobs"]) == 4


async def test_both_ways_from_python_raise_the_same_error(start_api: Any, narrow: Settings, forge: Forge) -> None:
    api = await start_api(narrow)
    await forge.submit_many("demo.echo", [None] * 3)
    async with AsyncClient(api.url, retries=0) as client:
        with pytest.raises(QueueFull) as over_http:
            await client.submit("demo.echo")
    with pytest.raises(QueueFull) as direct:
        await forge.submit("demo.echo")

    for caught in (over_http, direct):
        assert caught.value.queue == "default"
        assert caught.value.length == 3
        assert caught.value.limit == 3


async def test_a_client_waits_for_room(start_api: Any, narrow: Settings, forge: Forge, node: Any) -> None:
    api = await start_api(narrow)
    await forge.submit_many("demo.echo", [None] * 3)
    async with AsyncClient(api.url, retries=5) as client:
        submitting = asyncio.create_task(client.submit("demo.echo"))
        await api.until(lambda: api.server.requests_count == 2)
        await node.complete()
        assert (await submitting)["status"] == "queued"


async def test_nearly_full_memory_is_a_503_that_says_what_to_do(
    start_api: Any, settings: Settings, redis_url: str
) -> None:
    import redis

    api = await start_api(settings)
    async with Forge(settings) as forge:
        with redis.Redis.from_url(redis_url) as admin:
            admin.config_set("maxmemory", int(admin.info("memory")["used_memory"] / 0.93))
            try:
                answers = [await api.call("POST", "/jobs", json=JOB) for _ in range(2)]
                health = await api.call("GET", "/health")
                await forge.submit("demo.echo")
                with pytest.raises(StoreUnavailable, match="raise maxmemory"):
                    await forge.submit("demo.echo")
            finally:
                admin.config_set("maxmemory", "0")

    assert [answer.status for answer in answers] == [201, 503]
    assert answers[1].code == "storage_full"
    assert int(answers[1].headers["Retry-After"]) >= 1
    assert health.status == 200
    assert health.body["status"] == "degraded"
    assert "no jobs are accepted beyond 90%" in str(health.body["problems"])
