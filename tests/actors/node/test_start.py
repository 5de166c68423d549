"""The start of a node, and what may come between."""

from __future__ import annotations

from typing import Any

import pytest

from ironforge.store import Lease
from ironforge.store.consumer.leases import RedisLeases
from tests.actors.node.kit import World


@pytest.mark.one_shard
async def test_a_node_that_loses_its_lease_while_it_starts_starts_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever finds a group destroyed fences every node, also one that has joined a moment before."""
    join = RedisLeases.join
    joined: list[str] = []

    async def fenced_at_once(leases: RedisLeases, *heard: Any) -> Lease:
        lease = await join(leases, *heard)
        joined.append(lease.node)
        if len(joined) == 1:
            world.cluster.raw.incr(world.cluster.keys.fence(lease.node))
        return lease

    monkeypatch.setattr(RedisLeases, "join", fenced_at_once)
    job_id = await world.submit("note", 1)
    async with world.node():
        await world.completed(job_id)
    assert len(joined) >= 2
