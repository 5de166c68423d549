"""What a 2xx has survived: for each durability mode, the loss that it promises to survive, done to real servers."""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ironforge.api import create_app, serve
from ironforge.errors import StoreUnavailable
from ironforge.handlers.forge import Forge
from ironforge.job.record import format_id, parse_id
from ironforge.redis.keys import Keys
from ironforge.settings import Settings, load
from ironforge.store import StoreClient
from ironforge.store.server_checks import REPLICA_LAG_SECONDS
from tests.support.preload import disk_library, needs
from tests.system.faults.kit import until
from tests.system.faults.storage import Server

pytestmark = pytest.mark.proof

# What `relaxed` may lose: the server syncs every second, and takes up to another one for it.
RELAXED_SECONDS = 2.0


class Load:
    """Submits one job after the other, from many callers at once, and notes when each was acknowledged."""

    def __init__(self, forge: Forge, callers: int = 16) -> None:
        self.acknowledged: dict[str, float] = {}
        self._forge = forge
        self._numbers = itertools.count()
        self._tasks = [asyncio.create_task(self._submit()) for _ in range(callers)]

    async def _submit(self) -> None:
        while True:
            try:
                job_id = await self._forge.submit("work", {"number": next(self._numbers)})
            except StoreUnavailable:
                return
            self.acknowledged[job_id] = time.monotonic()

    async def reaches(self, count: int) -> None:
        await until(lambda: len(self.acknowledged) >= count, f"{count} jobs to be acknowledged")

    async def end(self) -> None:
        await asyncio.gather(*self._tasks)


def missing(server: Server, acknowledged: dict[str, float]) -> dict[str, float]:
    """Those of them that the server does not have."""
    with server.client as client:
        found = {format_id(job_id) for job_id in client.hkeys(Keys("default").index)}
    return {job_id: at for job_id, at in acknowledged.items() if job_id not in found}


@pytest.mark.parametrize("mode", ["local", "relaxed"])
async def test_a_power_loss_takes_nothing_from_local_and_two_seconds_from_relaxed(mode: str, tmp_path: Path) -> None:
    fsync = "always" if mode == "local" else "everysec"
    needs(disk_library(), "gcc")
    with Server(tmp_path / "server", loses_power=True, appendfsync=fsync) as server:
        async with Forge(load({}, redis_url=server.url, durability=mode)) as forge:
            load_ = Load(forge)
            began = time.monotonic()
            await until(lambda: time.monotonic() - began > 2.5, "more time than may be lost")
            # Until somewhere between two syncs.
            synced = (server.folder / "synced").stat().st_size
            await until(lambda: (server.folder / "synced").stat().st_size > synced, "a sync")
            await load_.reaches(len(load_.acknowledged) + 50)
            await asyncio.to_thread(server.lose_power)
            lost_at = time.monotonic()
            await load_.end()
        server.start()
        lost = missing(server, load_.acknowledged)

    assert len(load_.acknowledged) > 200
    if mode == "local":
        assert lost == {}
    else:
        # It does lose some, or this test would prove nothing for local either.
        assert lost
        assert lost_at - min(lost.values()) < RELAXED_SECONDS + 0.5


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "primary", **{"repl-diskless-sync-delay": "0"}) as server:
        yield server


@pytest.fixture
async def replica(primary: Server, tmp_path: Path) -> AsyncIterator[Server]:
    with Server(tmp_path / "replica", replicaof=f"127.0.0.1 {primary.port}") as server:
        try:
            await until(lambda: online(primary), "the replica to be in step")
            yield server
        finally:
            server.signal(signal.SIGCONT)


def online(primary: Server) -> bool:
    with primary.client as client:
        return client.info("replication").get("slave0", {}).get("state") == "online"


@pytest.fixture
def settings(primary: Server, replica: Server) -> Settings:
    return load({}, redis_url=primary.url, durability="replicated")


class Api:
    """One API process's worth of it, and a caller."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def submit(self, key: str = "", path: str = "/jobs", body: Any = None) -> tuple[int, dict[str, Any]]:
        headers = {"Idempotency-Key": key} if key else {}
        async with self._session.post(self._url + path, json=body or {"kind": "work"}, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def health(self) -> dict[str, Any]:
        async with self._session.get(f"{self._url}/health") as answer:
            return dict(await answer.json())


@pytest.fixture
async def apis(settings: Settings) -> AsyncIterator[list[Api]]:
    async with AsyncExitStack() as stack:
        found = []
        session = await stack.enter_async_context(aiohttp.ClientSession())
        for _ in range(2):
            store_client = StoreClient(settings)
            stack.push_async_callback(store_client.close)
            runner = await serve(create_app(settings, store_client), "127.0.0.1", 0)
            stack.push_async_callback(runner.cleanup)
            found.append(Api(f"http://127.0.0.1:{runner.addresses[0][1]}", session))
        yield found


async def test_what_replicated_acknowledged_is_on_the_replica_when_the_primary_is_gone(
    primary: Server, replica: Server, apis: list[Api]
) -> None:
    acknowledged: dict[str, float] = {}
    refused: list[dict[str, Any]] = []
    stopped = False

    async def caller(api: Api) -> None:
        while True:
            status, answer = await api.submit()
            if status == 201:
                acknowledged[answer["id"]] = time.monotonic()
            elif stopped:
                refused.append(answer)
                return

    callers = [asyncio.create_task(caller(apis[n % 2])) for n in range(16)]
    await until(lambda: len(acknowledged) > 500, "many jobs to be acknowledged")
    # What the primary took after this is nowhere else when it is killed.
    replica.signal(signal.SIGSTOP)
    stopped = True
    await until(lambda: refused, "the first refusal")
    await asyncio.to_thread(primary.kill)
    await asyncio.gather(*callers)
    replica.signal(signal.SIGCONT)
    with replica.client as client:
        client.replicaof("NO", "ONE")

    assert missing(replica, acknowledged) == {}
    assert "durability_not_confirmed" in {answer["code"] for answer in refused}


async def test_without_its_replica_a_job_is_no_2xx_and_the_repetition_has_the_same_id(
    primary: Server, replica: Server, apis: list[Api]
) -> None:
    replica.signal(signal.SIGSTOP)
    status, first = await apis[0].submit("key")
    assert status == 503
    assert first["code"] == "durability_not_confirmed"
    assert "0 of 1 replicas confirmed" in first["detail"]
    # Also another process, whose connection to the primary has written nothing that could be confirmed.
    status, second = await apis[1].submit("key")
    assert status == 503
    assert second["job_id"] == first["job_id"]
    replica.signal(signal.SIGCONT)
    for api in apis:
        await accepted(api, "key", first["job_id"])
    with replica.client as client:
        assert client.hkeys(Keys("default").index) == [parse_id(first["job_id"])]


async def test_all_jobs_of_an_unconfirmed_batch_are_named(primary: Server, replica: Server, apis: list[Api]) -> None:
    batch = [{"kind": "work"}] * 3
    replica.signal(signal.SIGSTOP)
    status, answer = await apis[0].submit("key", "/jobs/batch", batch)
    replica.signal(signal.SIGCONT)
    _, repeated = await apis[0].submit("key", "/jobs/batch", batch)

    assert status == 503
    assert len(answer["job_ids"]) == 3
    assert repeated.get("ids", repeated.get("job_ids")) == answer["job_ids"]


async def test_a_lost_replica_shows_in_health_and_nothing_is_stored_until_it_is_back(
    primary: Server, replica: Server, apis: list[Api]
) -> None:
    api = apis[0]
    assert (await api.health())["status"] == "ok"
    replica.signal(signal.SIGSTOP)
    stopped = time.monotonic()

    async def degraded() -> bool:
        health = await api.health()
        return health["status"] == "degraded" and "IRONFORGE_REPLICAS" in str(health["problems"])

    await until(degraded, "health to say so")
    assert time.monotonic() - stopped < REPLICA_LAG_SECONDS + 3.0

    async def refused() -> bool:
        return (await api.submit())[1].get("code") == "durability_lost"

    await until(refused, "submissions to be refused")
    with primary.client as client:
        before = client.hlen(Keys("default").index)
        began = time.monotonic()
        status, answer = await api.submit()
        assert status == 503
        assert answer["code"] == "durability_lost"
        # At once, and not after another second of waiting for the replica.
        assert time.monotonic() - began < 0.9
        assert client.hlen(Keys("default").index) == before
    replica.signal(signal.SIGCONT)
    await accepted(api)


async def test_replicated_takes_nothing_from_a_server_that_began_to_evict(
    primary: Server, replica: Server, apis: list[Api]
) -> None:
    await accepted(apis[0])
    with primary.client as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    status, answer = await apis[0].submit()
    health = await apis[0].health()

    assert status == 503
    assert answer["code"] == "durability_not_confirmed"
    assert "maxmemory-policy is allkeys-lru" in answer["detail"]
    assert "CONFIG SET maxmemory-policy noeviction" in str(health["problems"])


async def accepted(api: Api, key: str = "", expected: str = "") -> None:
    """Sooner or later, as this job."""

    async def is_accepted() -> bool:
        status, answer = await api.submit(key)
        assert status in (201, 503), answer
        assert status == 503 or expected in ("", answer["id"])
        return status == 201

    await until(is_accepted, "a 201")
