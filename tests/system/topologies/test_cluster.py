"""In a cluster: shards on several primaries, of which one fails or hands over a slot while the others go on."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from ironforge.job.record import format_id, new_id, parse_id, shard_of
from ironforge.redis.server_locator import ServerLocator
from ironforge.redis.shards import shards_of
from tests.support.topologies import ClusterTopology
from tests.system.faults.kit import until
from tests.system.topologies.kit import Load, api, ground_on, under_load

pytestmark = pytest.mark.slow

SHARDS = 3


async def test_a_moved_slot_is_followed_under_load_and_everything_settles_exactly_once(
    cluster: ClusterTopology, tmp_path: Path
) -> None:
    async with ground_on(cluster.url, tmp_path, shards=SHARDS) as ground:
        nodes = await ground.started_nodes(2)
        load = Load(ground)
        async with api(ground) as client, load.running():
            await load.more()
            for keys in shards_of(ground.settings)[:2]:
                before = cluster.owner(keys.prefix)
                assert cluster.move_slot(keys.prefix) is not before
                await load.more()
            batch = await client.submit_many([{"kind": "work"}] * 50)
            assert len({shard_of(parse_id(job), SHARDS) for job in batch}) == 1
        await load.all_done()
        await ground.drained(len(load.acknowledged) + 50)

        await ground.check_settled(load.acknowledged)
        assert (await ground.totals())["completed"] == len(load.acknowledged) + 50
        assert [node.poll() for node in nodes] == [None, None]


async def test_while_one_shard_is_away_the_others_go_on_and_then_it_catches_up(
    cluster: ClusterTopology, tmp_path: Path
) -> None:
    async with ground_on(cluster.url, tmp_path, shards=SHARDS) as ground:
        nodes = await ground.started_nodes(2)
        load = Load(ground)
        async with load.running():
            await load.more()
        away = cluster.owner(shards_of(ground.settings)[0].prefix)
        others = [
            shard for shard, keys in enumerate(shards_of(ground.settings)) if cluster.owner(keys.prefix) is not away
        ]
        assert others
        away.pause()
        meanwhile = []
        for shard in others:
            meanwhile += [format_id(new_id(shard)) for _ in range(5)]
        await ground.store_client.producer.submit([ground.forge.prepare("work", id=job) for job in meanwhile])
        await until(lambda: set(meanwhile) <= set(ground.starts()), "the jobs of the other shards to start")
        away.resume()
        async with load.running():
            await load.more()
        await load.all_done()
        assert [node.poll() for node in nodes] == [None, None]


async def test_a_failover_of_one_primary_is_followed_by_all(cluster: ClusterTopology, tmp_path: Path) -> None:
    async with under_load(cluster.url, tmp_path, shards=SHARDS) as load:
        prefix = shards_of(load.ground.settings)[0].prefix
        old = cluster.owner(prefix)
        cluster.fail_over(prefix)
        old.start()  # without a replica the new primary could not promise anything
        await load.more()


async def test_a_primary_that_steps_down_in_order_is_left_by_all(cluster: ClusterTopology, tmp_path: Path) -> None:
    """Its connections live on, and it answers everything but writes."""
    async with under_load(cluster.url, tmp_path, shards=SHARDS) as load:
        for keys in shards_of(load.ground.settings):
            cluster.step_down(keys.prefix)
            await load.more()


async def test_a_cluster_of_which_no_node_answers_is_an_outage() -> None:
    with pytest.raises(redis.ConnectionError, match="no node of the cluster says who holds slot 5640"):
        await ServerLocator("redis+cluster://127.0.0.1:1", "if:{default.0}:").find()
