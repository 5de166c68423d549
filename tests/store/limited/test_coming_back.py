"""Jobs with limits that come back: from a snooze, a retry, a delay, or the dead letter."""

from __future__ import annotations

import pytest

from ironforge.errors import QueueFull
from ironforge.job.limits import Limit, Rate
from ironforge.job.record import JobState
from ironforge.store import Delivery, Rewrite, Submission
from tests.store.kit import Cluster, Node, dead, ids_in, limited, retry, rewrite, settle


def snoozed(delivery: Delivery) -> Rewrite:
    return rewrite(delivery, 3_600_000)._replace(failed=False)


async def due(cluster: Cluster, node: Node) -> None:
    cluster.ripen()
    await node.work.promote()


async def test_a_snoozed_job_frees_its_place_and_heads_its_line_when_it_comes_back(one: Cluster) -> None:
    node = await one.node()
    first, second, third = limited(3)
    await one.submit(first, second, third)
    await node.work.park([snoozed((await node.work.fetch(10))[0])])
    held = await node.work.fetch(10)
    assert ids_in(held) == [second.id]
    await due(one, node)
    await settle(node, held)
    assert ids_in(await node.work.fetch(10)) == [first.id]


async def test_those_that_come_back_stand_in_the_order_of_their_creation(one: Cluster) -> None:
    node = await one.node()
    first, second, third = limited(3)
    await one.submit(first, second, third)
    for _ in range(2):
        await node.work.park([snoozed((await node.work.fetch(10))[0])])
    held = await node.work.fetch(10)
    for each in (second, first):
        one.raw.zadd(one.keys.scheduled, {each.id: 1})
        await node.work.promote()
    order = []
    while held:
        order += ids_in(held)
        await settle(node, held)
        held = await node.work.fetch(10)
    assert order == [third.id, first.id, second.id]


async def test_a_delayed_job_stands_in_no_line_and_joins_the_end_when_it_is_due(one: Cluster) -> None:
    node = await one.node()
    late, first, second = limited(3)
    await one.submit(late, delay_ms=3_600_000)
    await one.submit(first, second)
    held = await node.work.fetch(10)
    assert ids_in(held) == [first.id]
    await due(one, node)
    assert (await one.store_client.limits.key("one", "a")).waiting == 2
    await settle(node, held)
    assert ids_in(await node.work.fetch(10)) == [second.id]


@pytest.mark.parametrize("make", [retry, snoozed])
async def test_a_further_run_is_charged_by_the_rate_again(cluster: Cluster, make: object) -> None:
    await cluster.store_client.limits.put("one", Limit(rate=Rate(1, per_seconds=3600, burst=2)))
    node = await cluster.node()
    await cluster.submit(*limited(1))
    for remaining in (1, 0):
        (delivery,) = await node.work.fetch(10)
        assert (await cluster.store_client.limits.key("one", "a")).remaining == remaining
        await node.work.park([make(delivery)])  # type: ignore[operator]
        await due(cluster, node)
    assert await node.work.fetch(10) == []


@pytest.mark.parametrize(("policy", "waits"), [("block", True), ("park", True), ("skip", False)])
async def test_a_fifo_key_waits_for_a_snoozed_job_as_for_a_failed_one(
    cluster: Cluster, policy: str, waits: bool
) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=1, order="fifo", on_failure=policy))  # type: ignore[arg-type]
    node = await cluster.node()
    first, second = limited(2)
    await cluster.submit(first, second)
    await node.work.park([snoozed((await node.work.fetch(10))[0])])
    assert ids_in(await node.work.fetch(10)) == ([] if waits else [second.id])


async def test_a_parked_key_goes_on_with_the_revived_job_and_then_the_next(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=1, order="fifo", on_failure="park"))
    node = await cluster.node()
    first, second = limited(2)
    await cluster.submit(first, second)
    await node.work.bury([dead((await node.work.fetch(10))[0])])
    await cluster.store_client.producer.retry(first.id, reset_retry_count=True)
    held = await node.work.fetch(10)
    assert ids_in(held) == [first.id]
    await settle(node, held)
    assert ids_in(await node.work.fetch(10)) == [second.id]


async def test_an_operator_does_not_take_the_key_of_a_dead_job_that_was_revived(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=1, order="fifo", on_failure="park"))
    node = await cluster.node()
    first, second = limited(2)
    await cluster.submit(first, second)
    await node.work.bury([dead((await node.work.fetch(10))[0])])
    await cluster.store_client.producer.retry(first.id, reset_retry_count=True)
    assert await cluster.store_client.limits.resume("one", "a") == 0
    [(holder, since_ms)] = (await cluster.store_client.limits.key("one", "a")).holders
    assert holder == first.id
    assert since_ms > 0


async def test_a_parked_key_goes_on_when_its_dead_job_is_past_its_retention(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=1, order="fifo", on_failure="park"))
    node = await cluster.node()
    first, second = limited(2)
    await cluster.submit(first, second)
    await node.work.bury([dead((await node.work.fetch(10))[0])])
    cluster.raw.zadd(cluster.keys.dead, {first.id: 1})
    cluster.checked = False  # until the audit, the key waits for a job that is gone
    await node.work.expire()
    assert await node.work.audit_limits() == 0
    assert ids_in(await node.work.fetch(10)) == [second.id]
    cluster.checked = True


async def test_a_dead_job_is_not_revived_into_a_queue_that_is_full_of_those_behind_a_limit(one: Cluster) -> None:
    one.with_settings(max_queue_length=3)
    node = await one.node()
    first, *others = limited(4)
    await one.submit(first)
    await node.work.bury([dead((await node.work.fetch(10))[0])])
    await one.submit(*others)
    with pytest.raises(QueueFull):
        await one.open_doors().producer.retry(first.id, reset_retry_count=True)
    assert await one.state(first) is JobState.DEAD


async def test_one_that_comes_back_waits_also_where_its_queue_is_full(one: Cluster) -> None:
    one.with_settings(max_queue_length=2)
    node = await one.node()
    first, *others = limited(3)
    await one.submit(first)
    await node.work.park([retry((await node.work.fetch(10))[0])])
    await one.open_doors().producer.submit([Submission(each) for each in others])
    await due(one, node)
    assert (await one.store_client.limits.key("one", "a")).waiting == 3
