"""Limits where nodes die, drain, or take over: a place stays with its job, is charged once, and never leaks."""

from __future__ import annotations

import pytest

from ironforge.errors import LeaseLost
from ironforge.job.limits import Limit, Rate
from ironforge.job.record import JobState
from tests.store.kit import (
    Cluster,
    Node,
    completed,
    dead,
    ids_in,
    job,
    job_in,
    limited,
    retry,
    rewrite,
    settle,
    stream_of,
)
from tests.store.suspects import crash, held_by_dead, suspects


async def hand_back(cluster: Cluster, node: Node, heir: Node) -> None:
    await node.leases.leave(node.lease)


@pytest.mark.parametrize("end", [crash, hand_back])
async def test_the_next_node_goes_on_with_the_same_job_and_no_other_of_its_key(one: Cluster, end: object) -> None:
    first, second = limited(2)
    await one.submit(first, second)
    node, heir = await one.node(), await one.node()
    await node.work.fetch(10)
    await end(one, node, heir)  # type: ignore[operator]
    assert (await one.store_client.limits.key("one", "a")).running == 1
    held = await heir.work.fetch(10)
    assert ids_in(held) == [first.id]
    await settle(heir, held)
    assert ids_in(await heir.work.fetch(10)) == [second.id]


@pytest.mark.parametrize("end", [crash, hand_back])
async def test_the_rate_is_not_charged_again(cluster: Cluster, end: object) -> None:
    await cluster.store_client.limits.put("one", Limit(rate=Rate(1, per_seconds=3600, burst=2)))
    (first,) = limited(1)
    await cluster.submit(first)
    node, heir = await cluster.node(), await cluster.node()
    await node.work.fetch(10)
    await end(cluster, node, heir)  # type: ignore[operator]
    assert ids_in(await heir.work.fetch(10)) == [first.id]
    assert (await cluster.store_client.limits.key("one", "a")).remaining == 1


@pytest.mark.parametrize("end", [crash, hand_back])
async def test_the_place_is_kept_also_while_the_queue_is_paused(one: Cluster, end: object) -> None:
    one.with_settings(queues=("default", "other"))
    (first,), (second,) = limited(1), limited(1, queue="other")
    await one.submit(first, second)
    node, heir = await one.node(), await one.node()
    (delivery,) = await node.work.fetch(1)
    assert job_in(delivery).id == first.id
    await one.store_client.producer.set_paused("default", paused=True)
    await end(one, node, heir)  # type: ignore[operator]
    assert await heir.work.fetch(10) == []
    await one.store_client.producer.set_paused("default", paused=False)
    heir.work.reader.selector.look_again()
    assert ids_in(await heir.work.fetch(10)) == [first.id]


async def test_a_node_that_was_taken_over_frees_nothing(one: Cluster) -> None:
    first, second = limited(2)
    await one.submit(first, second)
    zombie, heir = await one.node(), await one.node()
    held = await zombie.work.fetch(10)
    await crash(one, zombie, heir)
    await heir.work.fetch(10)
    for write, make in ((zombie.work.park, retry), (zombie.work.bury, dead), (zombie.work.requeue, rewrite)):
        with pytest.raises(LeaseLost):
            await write([make(held[0])])
    with pytest.raises(LeaseLost):
        await settle(zombie, held)
    assert await heir.work.fetch(10) == []
    assert (await one.store_client.limits.key("one", "a")).holders[0][0] == first.id


@pytest.mark.parametrize("leaving", ["settle", "park", "bury"])
async def test_a_write_whose_answer_was_lost_frees_the_place_once(one: Cluster, leaving: str) -> None:
    node = await one.node()
    first, second, third = limited(3)
    await one.submit(first, second, third)
    (delivery,) = await node.work.fetch(10)
    make = {"settle": completed, "park": lambda it: retry(it, 3_600_000), "bury": dead}[leaving]
    await getattr(node.work, leaving)([make(delivery)])
    assert ids_in(await node.work.fetch(10)) == [second.id]
    await getattr(node.work, leaving)([make(delivery)])
    assert await node.work.fetch(10) == []
    assert (await one.store_client.limits.key("one", "a")).running == 1


async def test_a_suspect_runs_alone_with_its_place_and_the_others_wait(one: Cluster) -> None:
    suspect = held_by_dead(limits=limited(1)[0].limits)
    await suspects(one, suspect)
    (second,) = limited(1)
    await one.submit(second)
    node = await one.node()
    assert await node.work.fetch(10) == []
    (delivery,) = await node.work.alone.fetch()
    assert job_in(delivery).id == suspect.id
    assert await node.work.fetch(10) == []
    await settle(node, [delivery])
    assert ids_in(await node.work.fetch(10)) == [second.id]


async def test_several_suspects_of_a_key_run_one_after_the_other(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=3))
    jobs = [held_by_dead(limits=each.limits) for each in limited(3)]
    await suspects(cluster, *jobs)
    node = await cluster.node()
    order = []
    while deliveries := await node.work.alone.fetch():
        assert len(deliveries) == 1
        order += ids_in(deliveries)
        await settle(node, deliveries)
    assert sorted(order) == sorted(each.id for each in jobs)
    assert (await cluster.store_client.limits.key("one", "a")).running == 0


async def test_one_that_is_buried_for_its_crashes_frees_its_place(one: Cluster) -> None:
    suspect = held_by_dead(limits=limited(1)[0].limits)
    await suspects(one, suspect)
    (second,) = limited(1)
    await one.submit(second)
    victim, heir = await one.node(), await one.node()
    await victim.work.alone.fetch()
    await crash(one, victim, heir)
    assert await one.state(suspect) is JobState.DEAD
    assert ids_in(await heir.work.fetch(10)) == [second.id]


async def test_after_any_number_of_crashes_and_drains_every_place_is_free(cluster: Cluster) -> None:
    cluster.with_settings(crash_budget=100)
    await cluster.store_client.limits.put("one", Limit(concurrency=3))
    jobs = [*limited(20), job()]
    await cluster.submit(*jobs)
    node = await cluster.node()
    done: set[bytes] = set()
    for round_ in range(100):
        held = await node.work.fetch(2)
        if not held:
            break
        await settle(node, held[:1])
        done.update(ids_in(held[:1]))
        heir = await cluster.node()
        await (crash if round_ % 2 else hand_back)(cluster, node, heir)
        node = heir
    assert done == {each.id for each in jobs}
    key = await cluster.store_client.limits.key("one", "a")
    assert (key.running, key.waiting) == (0, 0)
    assert await node.work.audit_limits() == 0


async def test_a_settlement_of_a_full_server_frees_the_place(one: Cluster) -> None:
    node = await one.node()
    first, second = limited(2)
    await one.submit(first, second)
    held = await node.work.fetch(10)
    one.raw.config_set("maxmemory", 1)
    try:
        await settle(node, held)
    finally:
        one.raw.config_set("maxmemory", 0)
    assert ids_in(await node.work.fetch(10)) == [second.id]


async def test_a_place_is_kept_where_the_group_of_its_stream_was_destroyed(one: Cluster) -> None:
    node, other = await one.node(), await one.node()
    first, second = limited(2)
    await one.submit(first, second)
    (delivery,) = await node.work.fetch(10)
    one.raw.xgroup_destroy(one.keys.stream(stream_of(delivery)), "nodes")
    assert await other.work.fetch(5) == []
    again = node.store.work(await node.leases.join())
    held = await again.fetch(5)
    assert ids_in(held) == [first.id]
    await again.settle([completed(each) for each in held])
    assert ids_in(await again.fetch(5)) == [second.id]
