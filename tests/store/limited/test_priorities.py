"""Limits with priorities, fairness keys and aging."""

from __future__ import annotations

import time

import pytest

from ironforge.job.limits import Limit, LimitUse
from ironforge.job.record import Job
from tests.store.kit import Cluster, early, ids_in, job, job_in, limited, rewrite, settle

HOUR_SECONDS = 3600.0


async def test_the_most_urgent_of_a_key_comes_first_though_another_one_has_waited_longer(one: Cluster) -> None:
    node = await one.node()
    held, *later = limited(1) + limited(2, priority=3)
    (urgent,) = limited(1, priority=0)
    await one.submit(held)
    running = await node.work.fetch(10)
    await one.submit(*later)
    await one.submit(urgent)
    order = []
    while running:
        order += ids_in(running)
        await settle(node, running)
        running = await node.work.fetch(10)
    assert order == [held.id, urgent.id, later[0].id, later[1].id]


async def test_urgent_jobs_behind_a_full_key_let_others_by(one: Cluster) -> None:
    node = await one.node()
    await one.submit(*limited(1))
    await node.work.fetch(10)
    await one.submit(*limited(20, priority=0))
    (plain,), (other,) = [job(priority=3)], limited(1, "b", priority=3)
    await one.submit(plain, other)
    assert sorted(ids_in(await node.work.fetch(10))) == sorted([plain.id, other.id])


def shared(key: str, weight: int) -> Job:
    return job(fairness_key=key, fairness_weight=weight, limits=(LimitUse("many", key),))


async def test_a_heavier_key_gets_more_turns_within_its_limit(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("many", Limit(concurrency=100))
    node = await cluster.node()
    await cluster.submit(*[shared("heavy", 3) for _ in range(40)], *[shared("light", 1) for _ in range(40)])
    order = [job_in(each).fairness_key for each in await node.work.fetch(24)]
    assert abs(order.count("heavy") - 18) <= 1


async def test_a_key_that_its_limit_held_up_has_saved_no_turns(one: Cluster) -> None:
    """Nor lost any: the turns of those that could not run are nobody's."""
    node = await one.node()
    await one.store_client.limits.put("many", Limit(concurrency=100))
    await one.submit(*[job(fairness_key="x", limits=(LimitUse("one", "x"),)) for _ in range(20)])
    await node.work.fetch(1)
    await one.submit(*[job(fairness_key="y", limits=(LimitUse("many", "y"),)) for _ in range(40)])
    assert len(await node.work.fetch(20)) == 20
    await one.store_client.limits.put("one", Limit(concurrency=100))
    order = [job_in(each).fairness_key for each in await node.work.fetch(16)]
    assert abs(order.count("x") - 8) <= 1


@pytest.fixture
async def aging(one: Cluster) -> Cluster:
    """With urgent jobs for every fetch of a test."""
    one.with_settings(starvation_seconds=HOUR_SECONDS)
    await one.submit(*[job(priority=0) for _ in range(60)])
    return one


def old(count: int, key: str = "a") -> list[Job]:
    """Of low priority, submitted in 1970."""
    return [job(priority=3, id=early(), limits=(LimitUse("one", key),)) for _ in range(count)]


async def test_to_wait_behind_a_full_key_is_no_starvation(aging: Cluster) -> None:
    node = await aging.node()
    (holder,) = limited(1, priority=0)
    await aging.submit(holder)
    while holder.id not in ids_in(await node.work.fetch(10)):
        pass
    await aging.submit(*old(5), *[job(priority=0) for _ in range(8)])
    assert [job_in(each).priority for each in await node.work.fetch(8)] == [0] * 8


async def test_the_time_behind_a_limit_does_not_count_once_it_has_room(aging: Cluster) -> None:
    node = await aging.node()
    await aging.submit(*old(5, "a"), *old(5, "b"))
    assert [job_in(each).priority for each in await node.work.fetch(8)] == [0] * 8


async def test_who_has_had_room_for_too_long_is_overdue(aging: Cluster) -> None:
    aging.with_settings(starvation_seconds=0.05)
    node = await aging.node()
    await aging.submit(*old(5))
    deadline = time.monotonic() + 10
    held = await node.work.fetch(8)
    while all(job_in(each).priority == 0 for each in held):
        assert time.monotonic() < deadline
        await node.work.requeue([rewrite(each) for each in held])
        held = await node.work.fetch(8)
    assert [job_in(each).priority for each in held] == [3] + [0] * 7
