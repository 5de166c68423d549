"""Which of several definitions of a limit counts: through roll-outs, crashes, restarts, roll-backs and operators."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ironforge.errors import LimitNotFound
from ironforge.job.definition import Announcement
from ironforge.job.limits import Limit, Override
from ironforge.redis.shards import shards_of
from ironforge.store.kinds import VERSIONS_KEPT
from tests.store.kit import Cluster, Node, limited
from tests.store.test_kind_that_counts import DIES, LEAVES, VERSIONS, Step, joins

PUTS = "puts"
steps = st.lists(st.builds(Step, st.sampled_from([*VERSIONS, LEAVES, DIES, PUTS]), st.integers(0, 5)), max_size=12)


def code(concurrency: int, name: str = "one") -> list[Announcement]:
    return [Announcement.of_limit(name, Limit(concurrency=concurrency))]


async def defined(cluster: Cluster, name: str = "one") -> int | None:
    return (await cluster.store_client.limits.get(name)).limit.concurrency


class Installation:
    """With what should count, worked out from nothing but the steps: a version is its concurrency, and an operator says
    one of 10 and more."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._nodes: list[tuple[int, Node]] = []
        self._first_said: list[int] = []
        self.counts: int | None = None

    async def do(self, step: Step) -> None:
        if step.what in VERSIONS:
            await self._join(int(step.what))
        elif step.what == PUTS:
            await self._put(10 + step.which)
        elif not self._nodes:
            return
        else:
            _, node = self._nodes.pop(step.which % len(self._nodes))
            if step.what == LEAVES:
                await node.leases.leave(node.lease)
            else:
                self._cluster.lapse(node)
                if not self._nodes:
                    return  # none is left to take it over: what held holds
                heir = self._nodes[0][1]
                await heir.leases.take_over(heir.lease, node.lease.node)
        run = {version for version, _ in self._nodes}
        counting = (one for one in reversed(self._first_said) if one in run or one >= 10)
        self.counts = next(counting, self.counts)

    async def _join(self, version: int) -> None:
        if version not in self._first_said:
            self._first_said.append(version)
        self._nodes.append((version, await self._cluster.node(limits=code(version))))

    async def _put(self, said: int) -> None:
        await self._cluster.store_client.limits.put("one", Limit(concurrency=said))
        self._first_said = [*(one for one in self._first_said if one < 10), said]


async def live_through(url: str, life: Sequence[Step]) -> None:
    cluster = Cluster(url)
    installation = Installation(cluster)
    for step in life:
        await installation.do(step)
        if installation.counts is not None:
            assert await defined(cluster) == installation.counts
    await cluster.close()


@given(steps)
@example([*joins("1", "1", "2"), Step(DIES), *joins("1")])  # an old node restarts in a roll-out
@example([*joins("1", "2"), Step(DIES), *joins("1")])  # the last one of them
@example([*joins("1", "1", "2"), Step(LEAVES, 2)])  # a roll-back to nodes that were there all the time
@example([*joins("1", "1", "2"), Step(DIES, 2)])
@example([*joins("1", "2", "1"), Step(LEAVES, 1), *joins("2")])  # rolled back, and out again
@example([*joins("1", "2"), Step(DIES), Step(DIES), *joins("1")])  # after a power loss the old one alone comes back
@example([Step(PUTS), *joins("1"), Step(DIES), Step(LEAVES)])  # nobody is left to see that its code is gone
@example([*joins("1"), Step(PUTS, 1), Step(DIES), *joins("1", "2")])  # an operator's word until code says another one
@example([*joins("1"), Step(PUTS, 1), *joins("2"), Step(LEAVES, 1)])  # and again when that was rolled back
def test_the_newest_definition_that_a_node_has_counts_or_an_operators(server: str, life: Sequence[Step]) -> None:
    asyncio.run(live_through(server, life))


async def test_one_that_no_node_runs_yet_leaves_what_nodes_go_by(cluster: Cluster) -> None:
    await cluster.node(limits=code(1))
    await cluster.store_client.limits.announce(*code(2))
    assert await defined(cluster) == 1


async def test_an_override_outlasts_new_definitions_and_roll_backs(cluster: Cluster) -> None:
    await cluster.node(limits=code(1))
    await cluster.store_client.limits.override("one", Override(concurrency=7))
    new = await cluster.node(limits=code(2))
    await new.leases.leave(new.lease)
    found = await cluster.store_client.limits.get("one")
    assert (found.limit, found.override) == (Limit(concurrency=1), Override(concurrency=7))


async def test_jobs_that_wait_start_when_a_new_node_brings_more_room(cluster: Cluster) -> None:
    old = await cluster.node(limits=code(1))
    await cluster.submit(*limited(4))
    assert len(await old.work.fetch(10)) == 1
    await cluster.node(limits=code(3))
    assert len(await old.work.fetch(10)) == 2


@pytest.mark.parametrize("is_killed", [False, True])
async def test_jobs_that_wait_start_when_a_roll_back_brings_more_room(cluster: Cluster, is_killed: bool) -> None:
    old, new = await cluster.node(limits=code(3)), await cluster.node(limits=code(1))
    await cluster.submit(*limited(4))
    assert len(await old.work.fetch(10)) == 1
    if is_killed:
        cluster.lapse(new)
        await old.leases.take_over(old.lease, new.lease.node)
    else:
        await new.leases.leave(new.lease)
    assert len(await old.work.fetch(10)) == 2


async def test_a_limit_whose_code_is_gone_stays_and_holds(cluster: Cluster) -> None:
    node = await cluster.node(limits=code(1))
    await cluster.submit(*limited(2))
    await node.leases.leave(node.lease)
    other = await cluster.node(limits=code(1, "other"))
    assert await defined(cluster) == 1
    assert len(await other.work.fetch(10)) == 1


async def test_one_that_was_deleted_comes_back_with_a_node_that_starts_and_with_none_that_leaves(
    cluster: Cluster,
) -> None:
    old, new = await cluster.node(limits=code(1)), await cluster.node(limits=code(2))
    await cluster.store_client.limits.delete("one")
    await new.leases.leave(new.lease)
    with pytest.raises(LimitNotFound):
        await defined(cluster)
    await old.leases.leave(old.lease)
    await cluster.node(limits=code(1))
    assert await defined(cluster) == 1


async def test_of_many_definitions_those_stay_that_count(cluster: Cluster) -> None:
    await cluster.node(limits=code(1))
    await cluster.store_client.limits.put("one", Limit(concurrency=99))
    for number in range(2, VERSIONS_KEPT + 5):
        tried = await cluster.node(limits=code(number))
        await tried.leases.leave(tried.lease)
    kept = json.loads(cluster.raw.hget(cluster.keys.limit_versions, "one"))
    said = [json.loads(definition)["concurrency"] for _, _, _, definition in kept]
    assert said == [*range(VERSIONS_KEPT + 4, 6, -1), 99, 1]
    assert await defined(cluster) == 99


@pytest.mark.parametrize("key", ["limits", "limit_versions"])
async def test_nodes_join_and_leave_while_definitions_are_of_the_wrong_type(cluster: Cluster, key: str) -> None:
    old = await cluster.node(limits=code(1))
    new = await cluster.node(limits=code(2))
    cluster.raw.delete(getattr(cluster.keys, key))
    cluster.raw.set(getattr(cluster.keys, key), "somebody's")
    cluster.lapse(new)
    await old.leases.take_over(old.lease, new.lease.node)
    await old.leases.join()
    assert cluster.raw.get(getattr(cluster.keys, key)) == b"somebody's"
    cluster.raw.delete(getattr(cluster.keys, key))


@pytest.mark.parametrize("said", ["", "[1]", '{"limits": 1}', '{"limits": {"one": 1}}'])
async def test_what_others_wrote_of_nodes_changes_no_limit(cluster: Cluster, said: str) -> None:
    old, new = await cluster.node(limits=code(1)), await cluster.node(limits=code(2))
    cluster.raw.hset(cluster.keys.roster, new.lease.node, said)
    other = await cluster.node(limits=code(3))
    await other.leases.leave(other.lease)
    assert await defined(cluster) == 1
    await new.leases.leave(new.lease)
    await old.leases.leave(old.lease)
    assert await defined(cluster) == 1


async def test_the_same_definition_counts_in_every_shard(cluster: Cluster) -> None:
    cluster.with_settings(shards=3)
    old, new = await cluster.node(limits=code(1)), await cluster.node(limits=code(2))

    def counting() -> list[int]:
        said = [json.loads(cluster.raw.hget(keys.limits, "one")) for keys in shards_of(cluster.settings)]
        return [each["limit"]["concurrency"] for each in said]

    cluster.lapse(old)  # in the first shard
    await new.leases.take_over(new.lease, old.lease.node)
    old = await cluster.node(limits=code(1))
    assert counting() == [2, 2, 2]
    await new.leases.leave(new.lease)
    assert counting() == [1, 1, 1]
    await cluster.store_client.limits.put("one", Limit(concurrency=7))
    assert counting() == [7, 7, 7]
