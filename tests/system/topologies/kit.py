"""Load that goes on while a topology is hurt, and the question whether what was acknowledged has been done."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from ironforge.client.client import AsyncClient
from ironforge.errors import StoreError
from ironforge.job.record import JobState, format_id, new_id, parse_id
from ironforge.store import Submission
from tests.cli.kit import Service
from tests.system.faults.kit import Ground, until

BATCH = 20
ADDRESS = re.compile(r"http://[0-9.:]+")


@contextlib.asynccontextmanager
async def ground_on(url: str, folder: Path, **settings: Any) -> AsyncIterator[Ground]:
    """Acknowledged means that the replicas have it: a failover promises nothing for what only the primary had."""
    ground = Ground(url, folder / "ledger", durability="replicated", namespace=folder.name, **settings)
    try:
        yield ground
    finally:
        await ground.aclose()


@contextlib.asynccontextmanager
async def api(ground: Ground) -> AsyncIterator[AsyncClient]:
    """A client of an API process of its own, which is still the same process at the end."""
    settings = ground.settings
    given: dict[str, str] = {
        name: str(getattr(settings, name)) for name in ("redis_url", "namespace", "shards", "durability", "replicas")
    }
    with Service("api", "--port", "0", **given) as service:
        found = ADDRESS.search(await asyncio.to_thread(service.logged, "api is listening"))
        assert found
        async with AsyncClient(found[0]) as client:
            yield client
        assert service.running
        assert "Traceback" not in "".join(service.stderr)


class Load:
    """Submits batch after batch; one that met an error is submitted again with the same ids until it is taken."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.acknowledged: list[str] = []

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stopping = asyncio.Event()
        submitting = asyncio.create_task(self._submit(stopping))
        try:
            yield
        finally:
            stopping.set()
            await submitting

    async def more(self, count: int = 200) -> None:
        """Until that many more jobs are acknowledged."""
        goal = len(self.acknowledged) + count
        await until(lambda: len(self.acknowledged) >= goal, f"{count} more acknowledged jobs")

    async def all_done(self) -> None:
        """Every acknowledged job has completed."""
        waiting = set(self.acknowledged)

        async def none_left() -> bool:
            with contextlib.suppress(StoreError):
                for job in list(waiting):
                    if (await self.ground.store_client.inspector.get(parse_id(job))).state is not JobState.COMPLETED:
                        return False
                    waiting.discard(job)
            return not waiting

        await until(none_left, "every acknowledged job to be completed")

    async def _submit(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            ids = [format_id(new_id()) for _ in range(BATCH)]
            prepared = [self.ground.forge.prepare("work", {"seconds": 0.002}, id=job) for job in ids]
            if await self._taken_at_last(prepared, stopping):
                self.acknowledged += ids
            await asyncio.sleep(0.005)

    async def _taken_at_last(self, prepared: list[Submission], stopping: asyncio.Event) -> bool:
        while not await self._taken(prepared):
            if stopping.is_set():
                return False
            await asyncio.sleep(0.02)
        return True

    async def _taken(self, prepared: list[Submission]) -> bool:
        again = [msgspec.structs.replace(one, again=True) for one in prepared]
        try:
            await self.ground.store_client.producer.submit(again)
        except StoreError:
            return False
        return True


@contextlib.asynccontextmanager
async def under_load(url: str, folder: Path, **settings: Any) -> AsyncIterator[Load]:
    """Two nodes, an API and load; afterwards everything acknowledged has been done, and nobody was restarted."""
    async with ground_on(url, folder, **settings) as ground:
        nodes = await ground.started_nodes(2)
        load = Load(ground)
        async with api(ground) as client, load.running():
            await load.more()
            yield load
            load.acknowledged.append((await client.submit("work"))["id"])
        await load.all_done()
        assert [node.poll() for node in nodes] == [None, None]
