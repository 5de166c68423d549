"""Cancelling jobs with limits: who moves up, and when a place is free."""

from __future__ import annotations

import pytest

from ironforge.job.limits import Limit, Rate
from ironforge.job.record import JobState
from ironforge.redis.location import Location
from tests.store.declining import declined
from tests.store.kit import Cluster, dead, ids_in, limited, retry, rewrite, settle
from tests.store.suspects import crash


async def test_one_in_the_line_leaves_it_and_the_others_keep_their_order(one: Cluster) -> None:
    node = await one.node()
    first, second, third, fourth = limited(4)
    await one.submit(first, second, third, fourth)
    held = await node.work.fetch(10)
    assert await one.store_client.producer.cancel(third.id) is JobState.CANCELLED
    order = []
    while held:
        order += ids_in(held)
        await settle(node, held)
        held = await node.work.fetch(10)
    assert order == [first.id, second.id, fourth.id]


async def test_the_next_one_moves_up_when_the_head_of_the_line_is_cancelled(one: Cluster) -> None:
    node = await one.node()
    first, second = limited(2)
    await one.submit(first, second)
    await one.store_client.producer.cancel(first.id)
    assert ids_in(await node.work.fetch(10)) == [second.id]


async def test_one_that_runs_keeps_its_place_until_it_has_ended(one: Cluster) -> None:
    node = await one.node()
    first, second = limited(2)
    await one.submit(first, second)
    held = await node.work.fetch(10)
    assert await one.store_client.producer.cancel(first.id) is JobState.RUNNING
    assert await node.work.fetch(10) == []
    await settle(node, held)
    assert ids_in(await node.work.fetch(10)) == [second.id]


@pytest.mark.parametrize("leaving", ["park", "requeue", "bury", "decline"])
async def test_one_that_is_to_be_cancelled_frees_its_place_however_its_run_ends(one: Cluster, leaving: str) -> None:
    node = await one.node()
    first, second = limited(2)
    await one.submit(first, second)
    (delivery,) = await node.work.fetch(10)
    await one.store_client.producer.cancel(first.id)
    make = {"park": retry, "requeue": rewrite, "bury": dead, "decline": declined}[leaving]
    await getattr(node.work, leaving)([make(delivery)])
    assert await one.state(first) is JobState.CANCELLED
    assert ids_in(await node.work.fetch(10)) == [second.id]


async def test_one_that_is_to_be_cancelled_when_its_node_dies_frees_its_place(one: Cluster) -> None:
    victim, heir = await one.node(), await one.node()
    first, second = limited(2)
    await one.submit(first, second)
    await victim.work.fetch(10)
    await one.store_client.producer.cancel(first.id)
    await crash(one, victim, heir)
    assert await one.state(first) is JobState.CANCELLED
    assert ids_in(await heir.work.fetch(10)) == [second.id]


async def test_one_that_was_let_in_and_is_not_delivered_yet_frees_its_place(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=2))
    node = await cluster.node()
    first, second, third = limited(3)
    await cluster.submit(first, second, third)
    assert ids_in(await node.work.fetch(1)) == [first.id]
    assert Location(cluster.raw.hget(cluster.keys.index, second.id)).place == "q"
    assert await cluster.store_client.producer.cancel(second.id) is JobState.CANCELLED
    assert ids_in(await node.work.fetch(10)) == [third.id]


async def test_one_that_was_let_in_and_is_not_delivered_yet_has_used_nothing_of_a_rate(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(rate=Rate(1, per_seconds=3600, burst=2)))
    node = await cluster.node()
    first, ahead, third = limited(3)
    await cluster.submit(first, ahead, third)
    assert ids_in(await node.work.fetch(1)) == [first.id]  # and one goes ahead
    assert (await cluster.store_client.limits.key("one", "a")).remaining == 0
    await cluster.store_client.producer.cancel(ahead.id)
    while not (held := await node.work.wait(10, 5.0)):
        pass  # within the millisecond that has begun
    assert ids_in(held) == [third.id]


async def test_one_that_a_fifo_key_waits_for_lets_the_next_one_by(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=1, order="fifo"))
    node = await cluster.node()
    first, second = limited(2)
    await cluster.submit(first, second)
    await node.work.park([retry((await node.work.fetch(10))[0], 3_600_000)])
    assert await node.work.fetch(10) == []
    await cluster.store_client.producer.cancel(first.id)
    assert ids_in(await node.work.fetch(10)) == [second.id]


async def test_cancelling_all_that_wait_leaves_the_key_as_if_they_had_never_come(one: Cluster) -> None:
    node = await one.node()
    jobs = limited(3)
    await one.submit(*jobs)
    for each in reversed(jobs):
        await one.store_client.producer.cancel(each.id)
    key = await one.store_client.limits.key("one", "a")
    assert (key.running, key.waiting, key.remaining) == (0, 0, 1)
    assert await node.work.fetch(10) == []
