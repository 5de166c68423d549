"""The turn to run suspects, in a namespace of several shards: it is one turn, and reaches those of all shards."""

from __future__ import annotations

from ironforge.job.record import new_id, shard_of
from tests.store.kit import Cluster, Node, completed, ids_in
from tests.store.sharding.kit import SHARDS
from tests.store.suspects import held_by_dead, suspects


async def knows(node: Node) -> bool:
    """Whether it wants a turn, after its next look at each shard."""
    for part in node.work._parts:  # type: ignore[attr-defined]
        part.reader.selector._looked_at = part.reader.selector._sought_at = float("-inf")
    assert await node.work.fetch(5) == []
    return node.work.alone.wait


async def test_one_node_at_a_time_runs_the_suspects_of_all_shards_one_by_one(sharded: Cluster) -> None:
    jobs = [held_by_dead(id=new_id(tail)) for tail in range(2 * SHARDS)]
    assert {shard_of(each.id, SHARDS) for each in jobs} == {*range(SHARDS)}
    await suspects(sharded, *jobs)
    node, other = await sharded.node(), await sharded.node()
    assert await knows(node)
    assert await knows(other)
    assert await node.work.alone.claim()
    assert not await other.work.alone.claim()
    ran: list[bytes] = []
    while batch := await node.work.alone.fetch():
        assert len(batch) == 1
        ran += ids_in(batch)
        await node.work.settle([completed(batch[0])])
        await knows(node)
    assert sorted(ran) == sorted(each.id for each in jobs)
    await node.work.alone.unclaim()
    assert not await knows(node)


async def test_who_gives_its_turn_back_leaves_it_to_others(sharded: Cluster) -> None:
    await suspects(sharded, held_by_dead())
    node, other = await sharded.node(), await sharded.node()
    await knows(node)
    await knows(other)
    assert await node.work.alone.claim()
    await node.work.alone.unclaim()
    await node.work.alone.unclaim()  # there is none any more
    assert await other.work.alone.claim()
    (delivery,) = await other.work.alone.fetch()
    await other.work.settle([completed(delivery)])
    await other.work.alone.unclaim()
