"""The place of a limit that a killed node's job holds: it stays with the job, and the job comes back in time."""

from __future__ import annotations

import pytest
import redis.asyncio

from ironforge.job.limits import Limit
from ironforge.redis.keys import Keys
from tests.system.faults.kit import Ground, until

pytestmark = [pytest.mark.proof, pytest.mark.unmeasured]

SCHEDULING_MS = 1_000


async def test_the_place_of_a_killed_node_is_in_use_again_in_one_and_a_half_leases_and_never_before_one_has_ended(
    ground: Ground,
) -> None:
    lease_ms = ground.settings.lease_seconds * 1_000
    await ground.store_client.limits.put("one", Limit(concurrency=1))
    nodes = await ground.started_nodes(2)
    use = [{"name": "one", "key": "a"}]
    first = await ground.forge.submit("work", {"seconds": 3.0}, limits=use)
    second = await ground.forge.submit("work", {}, limits=use)
    await until(lambda: ground.starts()[first] == 1, "the first job to run")
    [victim] = [node for node in nodes if ground.in_flight(node.pid)]

    async with redis.asyncio.Redis.from_url(ground.settings.redis_url) as client:

        async def now_ms() -> float:
            seconds, micros = await client.time()
            return seconds * 1_000 + micros / 1_000

        victim.kill()
        victim.wait()
        killed_ms = await now_ms()
        leases = await client.zrange(Keys(ground.settings.namespace).nodes, 0, -1, withscores=True)
        [lease_end_ms] = [score for name, score in leases if f".{victim.pid}.".encode() in name]
        early: list[str] = []

        async def is_back() -> bool:
            started = [line.job_id for line in ground.lines() if line.what == "start"]
            if await now_ms() < lease_end_ms:
                early.extend(started[1:])
            return first in started[1:]

        await until(is_back, "the first job to run again")
        back_ms = await now_ms()
    await ground.drained(2)

    assert early == []
    assert back_ms - killed_ms <= 1.5 * lease_ms + SCHEDULING_MS
    assert [line.job_id for line in ground.lines() if line.what == "start"] == [first, first, second]
