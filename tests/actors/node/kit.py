"""A world for tests: handlers, submissions, nodes in this process, and what became of the jobs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from ironforge import Backoff, Forge
from ironforge.job.record import JobState, parse_id
from ironforge.runtime.node import Node, running
from ironforge.store import JobView
from tests.store.kit import Cluster
from tests.support.waiting import until

QUICK = Backoff(base_seconds=0.001, factor=1.0, max_seconds=0.001)


class Gate:
    """A handler's way to say that it runs, and to wait until the test lets it go on."""

    def __init__(self) -> None:
        self.entered: list[Any] = []
        self.left: list[Any] = []
        self.cancelled: list[Any] = []
        self._open = asyncio.Event()

    async def pass_through(self, who: Any = None) -> None:
        self.entered.append(who)
        try:
            await self._open.wait()
        except asyncio.CancelledError:
            self.cancelled.append(who)
            raise
        self.left.append(who)

    def open(self) -> None:
        self._open.set()


class World:
    def __init__(self, url: str, shards: int = 1) -> None:
        self.cluster = Cluster(url)
        self.change(concurrency=4, drain_seconds=10.0, shards=shards)
        self.ran: list[Any] = []

    def change(self, **settings: Any) -> None:
        """Other settings, and with them a new Forge: to be called before handlers are registered."""
        self.settings = self.cluster.with_settings(**settings)
        self.forge = Forge(self.settings)
        self.add_common_handlers()

    def add_common_handlers(self) -> None:
        @self.forge.job("note")
        async def note(payload: Any) -> Any:
            self.ran.append(payload)
            return payload

    async def submit(self, kind: str, payload: Any = None, **options: Any) -> str:
        return await self.forge.submit(kind, payload, **options)

    @contextlib.asynccontextmanager
    async def node(self, forge: Forge | None = None, **settings: Any) -> AsyncIterator[Node]:
        chosen = msgspec.structs.replace(self.settings, **settings)
        async with running(forge or self.forge, chosen) as node:
            yield node

    async def get(self, job_id: str) -> JobView:
        return await self.cluster.store_client.inspector.get(parse_id(job_id))

    async def state(self, job_id: str) -> JobState:
        return (await self.get(job_id)).state

    async def reached(self, job_id: str, state: JobState) -> JobView:
        async def is_there() -> bool:
            return await self.state(job_id) is state

        await until(is_there, f"job {job_id} to be {state}")
        return await self.get(job_id)

    async def completed(self, job_id: str) -> JobView:
        return await self.reached(job_id, JobState.COMPLETED)

    async def dead(self, job_id: str) -> JobView:
        return await self.reached(job_id, JobState.DEAD)

    async def cancel(self, job_id: str) -> JobState:
        return await self.cluster.store_client.producer.cancel(parse_id(job_id))

    async def retry(self, job_id: str, *, reset_retry_count: bool) -> None:
        await self.cluster.store_client.producer.retry(parse_id(job_id), reset_retry_count=reset_retry_count)

    async def close(self) -> None:
        await self.forge.close()
        await self.cluster.close()


def node_names(world: World) -> set[str]:
    return {name.decode() for name in world.cluster.raw.zrange(world.cluster.keys.nodes, 0, -1)}
