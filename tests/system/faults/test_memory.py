"""The server's memory runs full: submissions are refused, what was accepted is completed, and then there is room."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

import pytest
import redis

from ironforge.actors import dead_letter
from ironforge.errors import StoreUnavailable
from ironforge.handlers.forge import Forge
from ironforge.job.record import JobState, parse_id
from ironforge.runtime.node import running
from ironforge.settings import Settings, load
from ironforge.store import StoreClient
from ironforge.store.producer.admission import Admission
from tests.support.servers import valkey
from tests.system.faults.kit import until

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

PAYLOAD = "x" * 2_000


@pytest.fixture
def server() -> Iterator[str]:
    with valkey(maxmemory="16mb") as url:
        yield url


async def fill(settings: Settings, callers: int = 8) -> tuple[list[str], set[tuple[str, str]]]:
    """Submit until it is refused: what was accepted, and the codes and words of the refusals."""
    accepted: list[str] = []
    refusals: set[tuple[str, str]] = set()

    async def caller(forge: Forge) -> None:
        for _ in range(2_000):
            try:
                accepted.extend(await forge.submit_many("work", [PAYLOAD] * 10))
            except StoreUnavailable as error:
                refusals.add((error.code, str(error)))
                return

    async with Forge(settings) as forge:
        await asyncio.gather(*(caller(forge) for _ in range(callers)))
    return accepted, refusals


def with_handler(settings: Settings) -> Forge:
    forge = Forge(settings)
    numbers = itertools.count()

    @forge.job("work", max_retries=0)
    async def work(payload: str) -> str:
        # Results and failures need memory too.
        if next(numbers) % 10 == 0 and payload == PAYLOAD:
            raise ValueError("no")
        return payload[:100]

    return forge


@pytest.mark.parametrize("share", [0.9, 1.0], ids=["before the server refuses", "when the server refuses"])
async def test_a_full_server_is_worked_off_without_a_loss_and_then_takes_jobs_again(
    server: str, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letter, "EXPIRE_EVERY_SECONDS", 0.2)
    monkeypatch.setattr(dead_letter, "EXPIRE_AGAIN_SECONDS", 0.05)
    if share == 1.0:  # at the very limit either may be first to refuse: see that it is enough if the server does
        monkeypatch.setattr(Admission, "_look", lambda *_: None)
    settings = load({}, redis_url=server, max_memory_share=share)
    forge = with_handler(settings)
    accepted, refusals = await fill(settings)
    with redis.Redis.from_url(server) as client:
        memory = client.info("memory")
    assert len(accepted) > 500
    assert memory["used_memory"] > 0.9 * memory["maxmemory"]
    assert {code for code, _ in refusals} == {"storage_full"}
    assert all("raise maxmemory" in words for _, words in refusals)
    # The server's own refusal is the second line of defence, and seen only without the first.
    assert any("command not allowed" in words for _, words in refusals) == (share == 1.0)

    store_client = StoreClient(settings)
    async with running(forge, settings):

        async def drained() -> bool:
            stats = await store_client.inspector.stats()
            ended = stats.totals["completed"] + stats.totals["dead"]
            return ended == len(accepted) and not any(depth.queued + depth.running for depth in stats.streams)

        await until(drained, "all jobs to end")
        await until(lambda: _accepts(forge), "room for another job")
    stats = await store_client.inspector.stats()
    assert stats.totals["submitted"] == len(accepted) + 1
    dead = [job_id for job_id in accepted if await _state(store_client, job_id) is JobState.DEAD]
    assert len(dead) == stats.totals["dead"] >= len(accepted) // 10
    await store_client.close()
    await forge.close()


async def _accepts(forge: Forge) -> bool:
    try:
        await forge.submit("work", "small")
    except StoreUnavailable:
        return False
    return True


async def _state(store_client: StoreClient, job_id: str) -> JobState | None:
    """None: completed, and dropped to make room."""
    from ironforge.errors import JobNotFound

    try:
        return (await store_client.inspector.get(parse_id(job_id))).state
    except JobNotFound:
        return None
