"""Fairness keys: jobs of one queue and priority take turns by key, whatever others have submitted."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise

import pytest

from ironforge.errors import QueueFull
from ironforge.job.record import JobState
from ironforge.store import Delivery, JobFilter
from tests.store.kit import Cluster, Node, completed, dead, early, job, job_in, keyed, retry, rewrite
from tests.support.waiting import PATIENCE_SECONDS


def keys_of(deliveries: list[Delivery]) -> list[str]:
    return [job_in(delivery).fairness_key for delivery in deliveries]


async def drained(node: Node, want: int) -> list[str]:
    """The fairness keys in the order in which their jobs were taken, `want` at a time."""
    order: list[str] = []
    while deliveries := await node.work.fetch(want):
        await node.work.settle([completed(delivery) for delivery in deliveries])
        order += keys_of(deliveries)
    return order


async def test_a_few_jobs_of_one_key_run_among_the_many_of_another_from_the_start(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(*keyed("many", 5_000))
    await cluster.submit(*keyed("few", 10))
    order = await drained(node, 7)
    assert Counter(order) == Counter(many=5_000, few=10)
    # One of the many had gone ahead before the few came, and one is always ready to wake a node.
    last = len(order) - order[::-1].index("few")
    assert last <= 2 * 10 + 2


@pytest.mark.parametrize("want", [1, 5])
async def test_a_new_key_waits_for_one_job_of_each_other_and_its_next_for_a_round(cluster: Cluster, want: int) -> None:
    node = await cluster.node()
    others = 8
    await cluster.submit(*[one for number in range(others) for one in keyed(f"k{number}", 30)])
    await cluster.submit(*[job() for _ in range(30)])
    for _ in range(20):
        await node.work.settle([completed(delivery) for delivery in await node.work.fetch(want)])
    await cluster.submit(*keyed("new", 5))
    order = await drained(node, want)
    turns = [number for number, key in enumerate(order) if key == "new"]
    # The jobs without a key are one more; one was let go ahead; a fetch gives its jobs with keys first.
    assert turns[0] <= others + 1 + 1 + (want - 1)
    assert all(later - sooner <= 2 * (others + 1) + want for sooner, later in pairwise(turns))


async def test_a_heavier_key_gets_more_of_each_round(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(*keyed("heavy", 400, weight=3), *keyed("light", 400))
    order = await drained(node, 4)
    for start in range(0, 400, 40):
        assert abs(30 - order[start : start + 40].count("heavy")) <= 2


async def test_jobs_without_a_key_take_one_turn_together(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(*[job() for _ in range(300)])
    await cluster.submit(*keyed("a", 300), *keyed("b", 300))
    order = await drained(node, 6)
    assert [round(order[:300].count(key), -1) for key in ("", "a", "b")] == [100, 100, 100]


async def test_who_always_has_one_job_ready_gets_no_more_than_its_share(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(*keyed("many", 200))
    await cluster.submit(*keyed("eager", 1))
    order: list[str] = []
    for _ in range(100):
        deliveries = await node.work.fetch(1)
        await node.work.settle([completed(delivery) for delivery in deliveries])
        order += keys_of(deliveries)
        if order[-1] == "eager":
            await cluster.submit(*keyed("eager", 1))
    assert abs(50 - order.count("eager")) <= 2
    await drained(node, 100)


async def test_cancelled_jobs_give_their_turns_back(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(*keyed("many", 100))
    mistaken = keyed("other", 50)
    await cluster.submit(*mistaken)
    for one in mistaken:
        assert await cluster.store_client.producer.cancel(one.id) == JobState.CANCELLED
    await cluster.submit(*keyed("other", 1))
    assert "other" in (await drained(node, 1))[:4]


async def test_cancelling_the_last_that_waits_leaves_nothing_behind(cluster: Cluster) -> None:
    first, second = keyed("a", 2)
    await cluster.submit(first, second)
    assert await cluster.state(second) == JobState.QUEUED
    assert await cluster.store_client.producer.cancel(second.id) == JobState.CANCELLED
    assert cluster.raw.keys(cluster.keys.prefix + "[ft][au][ir][rn]*") == []
    assert await cluster.state(second) == JobState.CANCELLED


@pytest.mark.parametrize("bypass", ["delay", "retry", "revival", "quarantine"])
async def test_nobody_gets_ahead_by_a_detour(cluster: Cluster, bypass: str) -> None:
    node = await cluster.node()
    clever = keyed("clever", 40)
    if bypass == "delay":
        await cluster.submit(*clever, delay_ms=3_600_000)
    else:
        await cluster.submit(*clever)
        deliveries = await node.work.fetch(40)
        assert len(deliveries) == 40
        if bypass == "quarantine":
            for delivery in deliveries:
                await node.work.bury_raw(delivery, "of a newer version")
        else:
            put = node.work.park if bypass == "retry" else node.work.bury
            make = retry if bypass == "retry" else dead
            await put([make(delivery) for delivery in deliveries])
    # What comes back is one more of its tenant's: in the stream it would have the turn of jobs without a key as well.
    await cluster.submit(*keyed("clever", 40), *keyed("plain", 40))
    if bypass == "revival":
        for one in clever:
            await cluster.store_client.producer.retry(one.id, reset_retry_count=True)
    elif bypass == "quarantine":
        assert await node.work.restore() == 40
    else:
        cluster.ripen()
        assert (await node.work.promote()).moved == 40
    order = await drained(node, 4)
    assert abs(20 - order[:40].count("clever")) <= 2


async def test_priorities_stay_strict_and_what_is_requeued_keeps_its_turn(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(*keyed("a", 20, priority=2), *keyed("b", 20, priority=1))
    deliveries = await node.work.fetch(5)
    assert [job_in(delivery).priority for delivery in deliveries] == [1] * 5
    await node.work.requeue([rewrite(delivery) for delivery in deliveries])
    again = await node.work.fetch(6)  # one of the others was ready already
    assert [job_in(one).id for one in again[1:]] == [job_in(one).id for one in deliveries]
    assert [job_in(one).priority for one in await node.work.fetch(100)] == [1] * 14 + [2] * 20


async def test_what_waits_is_found_counted_and_listed_as_queued(cluster: Cluster) -> None:
    await cluster.node()
    waiting = [*keyed("a", 1), *(keyed("a", 1, id=early())[0] for _ in range(5))]
    await cluster.submit(*waiting)
    (depth,) = [one for one in (await cluster.store_client.inspector.stats()).streams if one.queued]
    assert depth.queue == "default"
    assert depth.priority == 2
    assert depth.queued == 6
    assert depth.oldest_ms == waiting[1].created_ms
    found, cursor = [], None
    while True:
        page = await cluster.store_client.inspector.jobs(JobFilter(JobState.QUEUED), limit=2, cursor=cursor)
        found += [view.job.id for view in page.jobs]
        cursor = page.cursor
        if cursor is None:
            break
    assert found == [one.id for one in waiting]


async def test_a_full_queue_counts_what_waits_for_its_turn(cluster: Cluster) -> None:
    cluster.with_settings(max_queue_length=10)
    await cluster.submit(*keyed("a", 8))
    with pytest.raises(QueueFull) as caught:
        await cluster.submit(*keyed("b", 3, priority=0))
    assert caught.value.length == 8
    assert caught.value.limit == 10
    await cluster.submit(*keyed("b", 2))


async def test_a_batch_wakes_every_node_that_has_nothing_to_do(cluster: Cluster) -> None:
    nodes = [await cluster.node() for _ in range(3)]

    async def take(node: Node) -> int:
        count = len(await node.work.wait(1, 30))
        while count < 4:
            more = await node.work.fetch(4 - count) or await node.work.wait(4 - count, 30)
            count += len(more)
        return count

    async with asyncio.timeout(PATIENCE_SECONDS):
        taking = [asyncio.create_task(take(node)) for node in nodes]
        while sum(client["cmd"] == "xreadgroup" for client in cluster.raw.client_list()) < 3:
            await asyncio.sleep(0)
        await cluster.submit(*keyed("a", 12))
        assert list(await asyncio.gather(*taking)) == [4, 4, 4]


async def test_a_lost_record_is_put_aside_when_its_turn_comes(cluster: Cluster) -> None:
    node = await cluster.node()
    first, lost, last = keyed("a", 3)
    await cluster.submit(first, lost, last)
    cluster.raw.hdel(cluster.keys.parked, lost.id)
    assert {job_in(one).id for one in await node.work.fetch(9) + await node.work.fetch(9)} == {first.id, last.id}
    ((_, fields),) = cluster.raw.xrange(cluster.keys.quarantine)
    assert fields[b"id"] == lost.id


async def test_jobs_without_keys_cost_one_look_a_fetch_and_nothing_else(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(job())
    cluster.raw.config_resetstat()
    await cluster.submit(*[job() for _ in range(100)])
    for _ in range(3):
        await node.work.settle([completed(delivery) for delivery in await node.work.fetch(1)])
    calls = {name: stats["calls"] for name, stats in cluster.raw.info("commandstats").items()}
    assert calls["cmdstat_exists"] == 3
    assert calls["cmdstat_xadd"] == 100
    assert calls["cmdstat_xreadgroup"] == 18
    assert not {"cmdstat_zadd", "cmdstat_zcard", "cmdstat_zscore", "cmdstat_zpopmin"} & (calls.keys() - SETTLING)


SETTLING = {"cmdstat_zadd"}  # the bucket of a result is noted
