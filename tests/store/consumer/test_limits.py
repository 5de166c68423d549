"""Limits: how many jobs of a key run at once, whatever becomes of them."""

from __future__ import annotations

import pytest

from ironforge.errors import QueueFull
from ironforge.job.limits import Limit, LimitUse
from ironforge.job.record import JobState
from ironforge.store import JobFilter, Submission
from tests.store.kit import Cluster, dead, ids_in, job, job_in, keyed, limited, retry, rewrite, settle


async def test_no_more_of_a_key_run_than_it_allows(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("three", Limit(concurrency=3))
    first, second = await cluster.node(), await cluster.node()
    jobs = limited(7, name="three")
    await cluster.submit(*jobs)
    held = await first.work.fetch(2) + await second.work.fetch(20)
    assert len(held) == 3
    ended = []
    while held:
        await settle(first, [])
        owner = second if held[-1] in held[2:] else first
        await settle(owner, held[-1:])
        ended += ids_in(held[-1:])
        held = held[:-1] + await second.work.fetch(20)
        assert len(held) <= 3
    assert sorted(ended) == sorted(one.id for one in jobs)


async def test_keys_do_not_wait_for_each_other(one: Cluster) -> None:
    node = await one.node()
    await one.submit(*limited(5, "a"), *limited(5, "b"), job())
    assert len(await node.work.fetch(20)) == 3


async def test_a_place_that_is_free_goes_to_the_next_in_order(one: Cluster) -> None:
    node = await one.node()
    jobs = limited(5)
    await one.submit(*jobs[:3])
    await one.submit(*jobs[3:])
    order = []
    while deliveries := await node.work.fetch(10):
        order += ids_in(deliveries)
        await settle(node, deliveries)
    assert order == [job.id for job in jobs]


async def test_a_job_has_all_of_its_limits_or_none(one: Cluster) -> None:
    await one.store_client.limits.put("other", Limit(concurrency=1))
    node = await one.node()
    both = job(limits=(LimitUse("one", "a"), LimitUse("other", "x")))
    holder, alone = job(limits=(LimitUse("other", "x"),)), job(limits=(LimitUse("one", "a"),))
    await one.submit(holder)
    (held,) = await node.work.fetch(10)
    await one.submit(both, alone)
    (running,) = await node.work.fetch(10)
    assert job_in(running).id == alone.id  # the other one waits elsewhere, and holds nothing
    await settle(node, [held])
    assert await node.work.fetch(10) == []
    await settle(node, [running])
    assert ids_in(await node.work.fetch(10)) == [both.id]


@pytest.mark.parametrize("leaving", ["retry", "snooze", "death", "cancellation"])
async def test_a_job_that_does_not_run_holds_no_place(one: Cluster, leaving: str) -> None:
    node = await one.node()
    first, second = limited(2)
    await one.submit(first, second)
    (delivery,) = await node.work.fetch(10)
    match leaving:
        case "retry":
            await node.work.park([retry(delivery, 3_600_000)])
        case "snooze":
            await node.work.park([rewrite(delivery, 3_600_000)._replace(failed=False)])
        case "death":
            await node.work.bury([dead(delivery)])
        case "cancellation":
            await one.store_client.producer.cancel(first.id)
            await settle(node, [delivery])
    assert ids_in(await node.work.fetch(10)) == [second.id]


async def test_who_comes_back_from_a_retry_heads_its_line(one: Cluster) -> None:
    node = await one.node()
    first, second, third = limited(3)
    await one.submit(first, second, third)
    await node.work.park([retry((await node.work.fetch(10))[0])])
    held = await node.work.fetch(10)
    assert ids_in(held) == [second.id]
    one.ripen()
    await node.work.promote()
    await settle(node, held)
    assert ids_in(await node.work.fetch(10)) == [first.id]


async def test_a_revived_job_waits_for_its_place(one: Cluster) -> None:
    node = await one.node()
    first, second = limited(2)
    await one.submit(first, second)
    await node.work.bury([dead((await node.work.fetch(10))[0])])
    held = await node.work.fetch(10)
    await one.store_client.producer.retry(first.id, reset_retry_count=True)
    assert await node.work.fetch(10) == []
    await settle(node, held)
    assert ids_in(await node.work.fetch(10)) == [first.id]


async def test_a_job_that_is_requeued_keeps_its_place(one: Cluster) -> None:
    node, other = await one.node(), await one.node()
    first, second = limited(2)
    await one.submit(first, second)
    await node.work.requeue([rewrite((await node.work.fetch(10))[0])])
    assert ids_in(await other.work.fetch(10)) == [first.id]


async def test_the_place_of_a_killed_node_stays_with_its_job(one: Cluster) -> None:
    node, other = await one.node(), await one.node()
    first, second = limited(2)
    await one.submit(first, second)
    assert ids_in(await node.work.fetch(10)) == [first.id]
    assert await other.work.fetch(10) == []
    one.lapse(node)
    await other.leases.take_over(other.lease, node.lease.node)
    (delivery,) = await other.work.fetch(10)
    assert job_in(delivery).id == first.id
    await settle(other, [delivery])
    assert ids_in(await other.work.fetch(10)) == [second.id]


async def test_one_that_waits_can_be_cancelled_found_counted_and_listed(one: Cluster) -> None:
    node = await one.node()
    jobs = limited(4)
    await one.submit(*jobs)
    await node.work.fetch(10)
    inspector = one.store_client.inspector
    view = await inspector.get(jobs[1].id)
    assert view.state is JobState.QUEUED
    assert view.waiting_for is not None
    assert view.waiting_for[:2] == ("limit", "limit one lets no more of key a start now")
    listed = (await inspector.jobs(JobFilter(JobState.QUEUED))).jobs
    assert [view.job.id for view in listed] == [one.id for one in jobs[1:]]
    assert {view.waiting_for for view in listed} == {view.waiting_for}
    (depth,) = [depth for depth in (await inspector.stats()).streams if depth.queued or depth.running]
    assert (depth.queued, depth.running, depth.limited) == (3, 1, 3)
    assert await one.store_client.producer.cancel(jobs[1].id) is JobState.CANCELLED
    assert (await inspector.get(jobs[1].id)).state is JobState.CANCELLED


async def test_what_waits_behind_a_limit_fills_its_queue(one: Cluster) -> None:
    one.with_settings(max_queue_length=3)
    producer = one.open_doors().producer
    await one.submit(*limited(3))
    with pytest.raises(QueueFull):
        await producer.submit([Submission(job())])


async def test_priorities_stay_strict_and_a_paused_queue_lets_others_by(one: Cluster) -> None:
    one.with_settings(queues=("default", "other"))
    node = await one.node()
    low, high, elsewhere = *limited(1, priority=3), *limited(1, priority=0), *limited(1, queue="other")
    await one.submit(low, elsewhere)
    await one.submit(high)
    (first,) = await node.work.fetch(10)
    assert job_in(first).id == high.id
    await one.store_client.producer.set_paused("other", paused=True)
    node.work.reader.selector._looked_at = float("-inf")
    await settle(node, [first])
    assert ids_in(await node.work.fetch(10)) == [low.id]


async def test_fairness_keys_take_turns_between_limits(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("many", Limit(concurrency=100))
    node = await cluster.node()
    jobs = [job(fairness_key=key, limits=(LimitUse("many", key),)) for key in ("a", "b") for _ in range(20)]
    await cluster.submit(*jobs)
    order = [job_in(one).fairness_key for one in await node.work.fetch(20)]
    assert abs(order.count("a") - 10) <= 1


async def test_a_full_key_lets_plain_and_fair_jobs_by(one: Cluster) -> None:
    node = await one.node()
    await one.submit(*limited(50), *[job() for _ in range(5)], *keyed("k", 5))
    assert len(await node.work.fetch(100)) == 11
    assert await node.work.fetch(100) == []
