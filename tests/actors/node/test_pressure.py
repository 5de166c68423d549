"""Under load a node holds little more than it can run, whatever becomes of the jobs."""

from __future__ import annotations

import pytest

from ironforge.actors.fetch_demand import LARGEST_BATCH
from ironforge.actors.write_buffer import MOST_WAITING
from tests.actors.node.kit import QUICK, World, until

pytestmark = pytest.mark.unmeasured


async def test_failing_jobs_do_not_pile_up_inside_the_node(world: World) -> None:
    world.change(concurrency=8)

    @world.forge.job("fail", max_retries=0, backoff=QUICK)
    async def fail() -> None:
        raise RuntimeError

    most = 0
    await world.forge.submit_many("fail", [None] * 6_000)
    async with world.node():

        async def all_dead() -> bool:
            nonlocal most
            stats = await world.cluster.store_client.inspector.stats()
            most = max(most, sum(depth.running for depth in stats.streams))
            return stats.dead == 6_000

        await until(all_dead, "all jobs to fail")

    # What waits to be buried, what the workers hold, and one fetch on its way.
    assert most <= MOST_WAITING + (2 * 8 + 2) * LARGEST_BATCH
