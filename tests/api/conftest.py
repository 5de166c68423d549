"""A real API on a real port over a real server; every test has a namespace of its own."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec
import pytest
from aiohttp import web

from ironforge import Forge
from ironforge.api import create_app, serve
from ironforge.formats.timestamps import now_ms
from ironforge.handlers.announcements import announcements_of
from ironforge.job.definition import Announcement
from ironforge.job.options import KindOptions
from ironforge.job.record import LABELS, JobState, decode
from ironforge.job.tracebacks import AttemptError
from ironforge.runtime.embedded_server import EmbeddedServer
from ironforge.settings import Settings
from ironforge.steps import journal
from ironforge.steps.waits import Wait, ties_of
from ironforge.store import Adjustment, NodeStore, Rewrite, StoreClient
from ironforge.store.node_contract import Consumer, Lease
from ironforge.store.steps.contract import NewStep, NewWait


class Answer(NamedTuple):
    status: int
    headers: Any
    body: Any

    @property
    def code(self) -> str:
        return self.body["code"]


class Api:
    """The API under test, and what it reported to its process."""

    def __init__(self, settings: Settings, runner: web.AppRunner, session: aiohttp.ClientSession) -> None:
        self.settings = settings
        self.server = runner.server
        self.port = runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.submitted: list[tuple[str, str, int]] = []
        self.not_ready: list[str] = []
        self._session = session

    async def call(self, method: str, path: str, **options: Any) -> Answer:
        async with self._session.request(method, self.url + path, **options) as response:
            content = await response.read()
            decoded = json.loads(content) if content and "json" in response.content_type else content
            return Answer(response.status, response.headers, decoded)

    async def submit(self, **fields: Any) -> str:
        answer = await self.call("POST", "/jobs", json={"kind": "demo.echo", **fields})
        assert answer.status == 201, answer.body
        return answer.body["id"]

    async def until(self, predicate: Callable[[], bool]) -> None:
        while not predicate():
            await asyncio.sleep(0)

    async def send_raw(self, data: bytes) -> bytes:
        """What comes back on a bare connection until the server closes it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        await writer.drain()
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer


class Node:
    """Stands for a node: fetches through the store, and ends jobs as told."""

    def __init__(self, lease: Lease, work: Consumer) -> None:
        self.lease = lease
        self._work = work

    async def throttle(self, claim: str, ms: int) -> None:
        await self._work.adjust([Adjustment("default:2", claim, throttled_ms=ms)])

    async def promote(self) -> None:
        """Moves on what is due, and workflows."""
        await self._work.promote()

    async def take(self) -> Any:
        [delivery] = await self._work.fetch(1)
        return delivery

    async def complete(self, result: bytes = b"null") -> None:
        delivery = await self.take()
        job = decode(delivery[2])
        record = job.finish(JobState.COMPLETED, job.created_ms + 5, started_ms=job.created_ms + 1, result=result)
        ties = ties_of(job.parent, journal=job.journal)
        await self._work.settle([(*delivery[:2], job.id, encode(record), 60_000, "completed", (), "", ties)])

    async def record(self, delivery: Any, field: str, result: bytes) -> None:
        job = decode(delivery[2])
        entry = journal.encode(journal.Entry(journal.EntryKind.STEP, result, 1_000, 1_500, job.fence))
        await self._work.record_steps([NewStep(*delivery[:2], job.id, job.fence, field, entry)])

    async def wait(self, wait: Wait, delivery: Any = None) -> None:
        """Has a job go to wait."""
        delivery = delivery or await self.take()
        job = decode(delivery[2]).again(wait=wait, journal=True, version=2, crashes=0)
        await self._work.park_waiting([NewWait.of(*delivery[:2], job, now_ms())])

    async def bury(self) -> None:
        delivery = await self.take()
        job = decode(delivery[2])
        failed = job.failed(AttemptError(1, job.created_ms + 5, "ValueError", "boom", self.lease.node, "trace"))
        dead = failed.finish(JobState.DEAD, job.created_ms + 5, reason="retries are used up")
        await self._work.bury([Rewrite.of(*delivery[:2], dead)])


def encode(job: Any) -> bytes:
    from ironforge.job import record as records

    return records.encode(job)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("valkey")
    server = EmbeddedServer(Settings(data_dir=str(folder)))
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return Settings(redis_url=redis_url, namespace=uuid.uuid4().hex)


@pytest.fixture
async def start_api() -> AsyncIterator[Callable[..., Awaitable[Api]]]:
    """Starts APIs, with the options of `create_app`, and stops them after the test."""
    async with AsyncExitStack() as stack:

        async def start(settings: Settings, **options: Any) -> Api:
            store_client = StoreClient(settings)
            stack.push_async_callback(store_client.close)
            runner = await serve(
                create_app(settings, store_client, **options),
                "127.0.0.1",
                0,
            )
            stack.push_async_callback(runner.cleanup)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            return Api(settings, runner, session)

        yield start


@pytest.fixture
async def api(settings: Settings, start_api: Callable[..., Awaitable[Api]]) -> Api:
    submitted: list[tuple[str, str, int]] = []
    not_ready: list[str] = []
    api = await start_api(
        settings,
        readiness=lambda: not_ready,
        exposition=lambda _reading: (b"up 1\n", "text/plain; version=0.0.4; charset=utf-8"),
        on_submitted=lambda kind, priority, count: submitted.append((kind, LABELS[priority], count)),
    )
    api.submitted, api.not_ready = submitted, not_ready
    return api


class Announced(NamedTuple):
    """A node that has joined; `leave` takes it away again."""

    node: str
    leave: Callable[[], Awaitable[None]]


def application(**options: Any) -> Forge:
    forge = Forge()

    @forge.job("report.build", **options)
    async def build(payload: Any) -> None:
        """Nobody calls it."""

    return forge


@pytest.fixture
async def announce(settings: Settings) -> AsyncIterator[Callable[..., Any]]:
    """Has a node of an application with `report.build` join."""
    stores = []

    async def join(version: str = "1", serves: tuple[str, ...] = ("default",), **options: Any) -> Announced:
        own = msgspec.structs.replace(settings, app_version=version, queues=serves)
        store = NodeStore(own, announcements_of(application(**options), version))
        stores.append(store)
        lease = await store.leases.join()
        return Announced(lease.node, lambda: store.leases.leave(lease))

    yield join
    for store in stores:
        await store.close()


@pytest.fixture
async def announce_kinds(settings: Settings) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """Has a node join that runs these kinds."""
    stores = []

    async def join(*kinds: str) -> None:
        stores.append(NodeStore(settings, [Announcement.of(kind, "", KindOptions(), None) for kind in kinds]))
        await stores[-1].leases.join()

    yield join
    for store in stores:
        await store.close()


@pytest.fixture
async def announce_counting(settings: Settings) -> AsyncIterator[Callable[[], Awaitable[Node]]]:
    """Has a node join that runs `counts`, whose payload is `{"n": <a whole number>}`."""
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    store = NodeStore(settings, [Announcement.of("counts", "", KindOptions(queue="own"), schema)])

    async def join() -> Node:
        lease = await store.leases.join()
        return Node(lease, store.work(lease))

    yield join
    await store.close()


@pytest.fixture
async def node(settings: Settings) -> AsyncIterator[Node]:
    store = NodeStore(settings)
    lease = await store.leases.join()
    yield Node(lease, store.work(lease))
    await store.close()


@pytest.fixture
def api_in_thread(settings: Settings) -> Iterator[str]:
    """The URL of an API on an event loop of its own, for callers that block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> tuple[Any, StoreClient]:
        store_client = StoreClient(settings)
        app = create_app(
            settings,
            store_client,
            exposition=lambda _reading: (b"up 1\n", "text/plain"),
        )
        return await serve(app, "127.0.0.1", 0), store_client

    async def stop() -> None:
        await runner.cleanup()
        await store_client.close()

    runner, store_client = asyncio.run_coroutine_threadsafe(start(), loop).result()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    asyncio.run_coroutine_threadsafe(stop(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
