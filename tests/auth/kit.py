"""A house: one API with its namespaces, the keys to it, and what is inside."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import aiohttp
import msgspec

from ironforge.api import create_app, serve
from ironforge.auth.api_keys import ApiKeys
from ironforge.auth.audit import AuditTrail
from ironforge.auth.caller import SCOPES
from ironforge.auth.quota_store import QuotaStore
from ironforge.job.definition import Announcement
from ironforge.job.options import KindOptions
from ironforge.metrics.jobs import Metrics
from ironforge.metrics.tenants import NamespaceMetrics
from ironforge.runtime.auth_setup import authentication_of
from ironforge.settings import Settings
from ironforge.store import NodeStore, StoreClient
from tests.api.conftest import Node


class Answer(NamedTuple):
    status: int
    headers: Any
    body: Any

    @property
    def code(self) -> str:
        return self.body["code"]


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class House:
    def __init__(self, settings: Settings, url: str, session: aiohttp.ClientSession, stack: AsyncExitStack) -> None:
        self.settings = settings
        self.url = url
        self.namespace = f"ns-{uuid.uuid4().hex}"
        self._session = session
        self._stack = stack
        self.api_keys = ApiKeys(settings)
        self.quotas = QuotaStore(settings)
        stack.push_async_callback(self.api_keys.close)
        stack.push_async_callback(self.quotas.close)

    @classmethod
    async def build(cls, settings: Settings, **options: Any) -> AsyncIterator[House]:
        async with AsyncExitStack() as stack:
            store_client = StoreClient(settings)
            stack.push_async_callback(store_client.close)
            metrics = Metrics()
            authentication = await stack.enter_async_context(
                authentication_of(settings, metrics, NamespaceMetrics(metrics.registry, settings.namespace))
            )
            app = create_app(
                settings,
                store_client,
                exposition=metrics.exposition,
                authentication=authentication,
            )
            runner = await serve(app, "127.0.0.1", 0, **options)
            stack.push_async_callback(runner.cleanup)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            yield cls(settings, f"http://127.0.0.1:{runner.addresses[0][1]}", session, stack)

    async def key(self, scopes: Iterable[str] = SCOPES, namespace: str | None = None, **options: Any) -> str:
        """The text of a new key."""
        name = options.pop("name", None) or f"n{uuid.uuid4().hex}"
        key, _ = await self.api_keys.create(namespace or self.namespace, name, list(scopes), **options)
        return key.text

    async def call(self, method: str, path: str, key: str | None = None, **options: Any) -> Answer:
        headers = {**({"Authorization": f"Bearer {key}"} if key else {}), **options.pop("headers", {})}
        async with self._session.request(method, self.url + path, headers=headers, **options) as response:
            content = await response.read()
            decoded = json.loads(content) if content and "json" in response.content_type else content
            return Answer(response.status, response.headers, decoded)

    async def submit(self, key: str, **fields: Any) -> str:
        answer = await self.call("POST", "/jobs", key, json={"kind": "demo.echo", **fields})
        assert answer.status == 201, answer.body
        return answer.body["id"]

    async def node(self, namespace: str | None = None, kinds: Iterable[str] = ()) -> Node:
        settings = msgspec.structs.replace(self.inside(namespace), queues=("default", "ours", "theirs"))
        store = NodeStore(settings, [Announcement.of(kind, "", KindOptions(queue="theirs"), None) for kind in kinds])
        self._stack.push_async_callback(store.close)
        lease = await store.leases.join()
        return Node(lease, store.work(lease))

    def trail(self, namespace: str | None = None, **options: Any) -> AuditTrail:
        trail = AuditTrail(self.inside(namespace), **options)
        self._stack.push_async_callback(trail.close)
        return trail

    def inside(self, namespace: str | None = None) -> Settings:
        return msgspec.structs.replace(self.settings, namespace=namespace or self.namespace)


# Entries that the trails of tests keep.
KEPT = 20


async def fill(trail: AuditTrail, count: int) -> None:
    for number in range(count):
        await trail.append("key:abc(ops)", "cancelJob", f"job-{number}", f"request-{number}")


async def make(house: House, maker: str, **fields: Any) -> Answer:
    wanted = {"name": f"n{time.monotonic_ns()}", "scopes": ["jobs:submit", "keys:admin"], **fields}
    return await house.call("POST", "/keys", maker, json=wanted)


async def listed(house: House) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in (await house.call("GET", "/keys", await house.key())).body["keys"]}
