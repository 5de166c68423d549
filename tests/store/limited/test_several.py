"""Jobs with several limits: all of them or none, without a deadlock, and first come, first served."""

from __future__ import annotations

import pytest

from ironforge.job.limits import Limit, LimitUse, Rate
from ironforge.job.record import Job, JobState
from tests.store.kit import Cluster, ids_in, job, retry, settle


def using(*names: str) -> Job:
    return job(limits=tuple(LimitUse(name) for name in names))


@pytest.fixture
async def four(cluster: Cluster) -> Cluster:
    """With four limits, each of one job at a time."""
    for name in "abcd":
        await cluster.store_client.limits.put(name, Limit(concurrency=1))
    return cluster


async def running(cluster: Cluster) -> list[int]:
    return [(await cluster.store_client.limits.key(name)).running for name in "abcd"]


@pytest.mark.parametrize("full", "abcd")
async def test_a_job_with_four_limits_holds_none_while_one_of_them_is_full(four: Cluster, full: str) -> None:
    node = await four.node()
    holder, both = using(full), using("a", "b", "c", "d")
    await four.submit(holder)
    held = await node.work.fetch(10)
    await four.submit(both)
    assert await node.work.fetch(10) == []
    assert await running(four) == [int(name == full) for name in "abcd"]
    await settle(node, held)
    assert ids_in(await node.work.fetch(10)) == [both.id]
    assert await running(four) == [1, 1, 1, 1]


async def test_the_end_of_a_job_with_four_limits_frees_all_of_them(four: Cluster) -> None:
    node = await four.node()
    await four.submit(using("a", "b", "c", "d"))
    held = await node.work.fetch(10)
    others = [using(name) for name in "abcd"]
    await four.submit(*others)
    assert await node.work.fetch(10) == []
    await settle(node, held)
    assert sorted(ids_in(await node.work.fetch(10))) == sorted(each.id for each in others)


async def test_a_retry_of_a_job_with_several_limits_frees_all_of_them(four: Cluster) -> None:
    node = await four.node()
    await four.submit(using("a", "b"))
    await node.work.park([retry((await node.work.fetch(10))[0], 3_600_000)])
    assert await running(four) == [0, 0, 0, 0]
    others = [using("a"), using("b")]
    await four.submit(*others)
    assert sorted(ids_in(await node.work.fetch(10))) == sorted(each.id for each in others)


async def test_two_that_want_the_same_in_another_order_do_not_wait_for_each_other(four: Cluster) -> None:
    node = await four.node()
    jobs = [using(*names) for names in ("ab", "ba", "ab", "ba")]
    await four.submit(*jobs)
    order = []
    while held := await node.work.fetch(10):
        assert len(held) == 1
        order += ids_in(held)
        await settle(node, held)
    assert sorted(order) == sorted(each.id for each in jobs)


async def test_three_in_a_ring_all_run(four: Cluster) -> None:
    node = await four.node()
    jobs = [using(*names) for names in ("ab", "bc", "ca") * 3]
    await four.submit(*jobs)
    order = []
    while held := await node.work.fetch(10):
        order += ids_in(held)
        await settle(node, held)
    assert sorted(order) == sorted(each.id for each in jobs)


async def test_who_waits_for_its_second_limit_is_ahead_of_those_that_came_later(four: Cluster) -> None:
    node = await four.node()
    holder, both, later = using("b"), using("a", "b"), using("b")
    await four.submit(holder)
    held = await node.work.fetch(10)
    await four.submit(both)
    await four.submit(later)
    assert await node.work.fetch(10) == []
    await settle(node, held)
    assert ids_in(await node.work.fetch(10)) == [both.id]


async def test_it_lets_others_have_its_first_limit_meanwhile_and_keeps_its_place_in_both(four: Cluster) -> None:
    node = await four.node()
    of_b, both, of_a, later = using("b"), using("a", "b"), using("a"), using("a")
    await four.submit(of_b)
    held_b = await node.work.fetch(10)
    await four.submit(both)
    assert await node.work.fetch(10) == []
    await four.submit(of_a)
    held_a = await node.work.fetch(10)
    assert ids_in(held_a) == [of_a.id]
    await four.submit(later)
    await settle(node, held_b)
    assert await node.work.fetch(10) == []
    await settle(node, held_a)
    assert ids_in(await node.work.fetch(10)) == [both.id]


async def test_a_rate_is_not_charged_for_a_job_that_another_limit_keeps_out(four: Cluster) -> None:
    limits = four.store_client.limits
    await limits.put("rate", Limit(rate=Rate(1, per_seconds=3600, burst=5)))
    node = await four.node()
    await four.submit(using("a"))
    held = await node.work.fetch(10)
    both = using("rate", "a")
    await four.submit(both)
    for _ in range(3):
        assert await node.work.fetch(10) == []
    assert (await limits.key("rate")).remaining == 5
    await settle(node, held)
    assert ids_in(await node.work.fetch(10)) == [both.id]
    assert (await limits.key("rate")).remaining == 4


async def test_one_that_waits_for_its_second_limit_can_be_cancelled(four: Cluster) -> None:
    node = await four.node()
    await four.submit(using("b"))
    held = await node.work.fetch(10)
    both, later = using("a", "b"), using("b")
    await four.submit(both)
    assert await node.work.fetch(10) == []
    await four.submit(later)
    assert await four.store_client.producer.cancel(both.id) is JobState.CANCELLED
    await settle(node, held)
    assert ids_in(await node.work.fetch(10)) == [later.id]
    assert await running(four) == [0, 1, 0, 0]


@pytest.mark.parametrize("names", [("stop", "turn"), ("turn", "stop")])
async def test_one_that_its_rate_keeps_waiting_is_not_overtaken_in_its_fifo_key(
    cluster: Cluster, names: tuple[str, str]
) -> None:
    await cluster.store_client.limits.put("turn", Limit(concurrency=1, order="fifo"))
    await cluster.store_client.limits.put("stop", Limit(rate=Rate(1, per_seconds=3600)))
    node = await cluster.node()
    await cluster.submit(using("stop"))
    await settle(node, await node.work.fetch(10))
    first, second, other = using(*names), using("turn"), using()
    await cluster.submit(first, second)
    assert await node.work.fetch(10) == []
    await cluster.submit(other)
    assert ids_in(await node.work.fetch(10)) == [other.id]
    await cluster.store_client.producer.cancel(first.id)
    assert ids_in(await node.work.fetch(10)) == [second.id]


@pytest.mark.parametrize("limit", [Limit(concurrency=1), Limit(rate=Rate(1, per_seconds=1))])
async def test_a_key_whose_holders_are_of_the_wrong_type_loses_no_job(cluster: Cluster, limit: Limit) -> None:
    await cluster.store_client.limits.put("broken", limit)
    node = await cluster.node()
    waiting, other = using("broken"), using()
    await cluster.submit(waiting, other)
    holders = cluster.keys.holders(waiting.limits[0].claim)
    cluster.raw.set(holders, "something else")
    assert ids_in(await node.work.fetch(10)) == [other.id]
    cluster.raw.delete(holders)
    cluster.raw.sadd(cluster.keys.room, waiting.limits[0].claim)
    assert ids_in(await node.work.fetch(10)) == [waiting.id]
