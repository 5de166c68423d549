"""Priority aging: what has waited too long gets its share, and without the setting nothing is even looked at."""

from __future__ import annotations

from ironforge.job.record import Job, encode, split_stream
from ironforge.store import Delivery
from tests.store.kit import Cluster, completed, early, job, stream_of

HOUR_SECONDS = 3600.0


def overdue(cluster: Cluster, *jobs: Job) -> None:
    """They came into their streams in 1970."""
    for number, one in enumerate(jobs, start=1):
        cluster.raw.xadd(cluster.keys.stream(one.stream), {"j": encode(one)}, id=f"{number}-1")
        cluster.raw.hset(cluster.keys.index, one.id, f"q:{one.stream}:{number}-1")


def priorities(deliveries: list[Delivery]) -> list[int]:
    return [split_stream(stream_of(delivery))[1] for delivery in deliveries]


async def test_what_is_overdue_gets_a_quarter_of_what_a_node_takes(cluster: Cluster) -> None:
    cluster.with_settings(starvation_seconds=HOUR_SECONDS)
    node = await cluster.node()
    overdue(cluster, *[job(priority=3) for _ in range(50)])
    await cluster.submit(*[job(priority=0) for _ in range(300)])
    assert priorities(await node.work.fetch(8)) == [3, 3, 0, 0, 0, 0, 0, 0]
    one_by_one = [priority for _ in range(100) for priority in priorities(await node.work.fetch(1))]
    assert one_by_one.count(3) == 25


async def test_priorities_are_strict_while_nothing_is_overdue(cluster: Cluster) -> None:
    cluster.with_settings(starvation_seconds=HOUR_SECONDS)
    node = await cluster.node()
    await cluster.submit(*[job(priority=3) for _ in range(5)], *[job(priority=0) for _ in range(8)])
    assert priorities(await node.work.fetch(8)) == [0] * 8


async def test_the_longest_wait_comes_first_and_the_highest_priority_needs_no_help(cluster: Cluster) -> None:
    cluster.with_settings(starvation_seconds=HOUR_SECONDS)
    node = await cluster.node()
    overdue(cluster, job(priority=3))
    overdue(cluster, *[job(priority=0) for _ in range(20)])
    medium = job(priority=2)
    cluster.raw.xadd(cluster.keys.stream(medium.stream), {"j": encode(medium)}, id="0-1")
    cluster.raw.hset(cluster.keys.index, medium.id, f"q:{medium.stream}:0-1")
    assert priorities(await node.work.fetch(8)) == [2, 3, 0, 0, 0, 0, 0, 0]


async def test_jobs_with_fairness_keys_age_as_well(cluster: Cluster) -> None:
    cluster.with_settings(starvation_seconds=HOUR_SECONDS)
    node = await cluster.node()
    await cluster.submit(*[job(priority=3, fairness_key="a", id=early()) for _ in range(5)])
    await cluster.submit(*[job(priority=1, fairness_key="b") for _ in range(9)])
    assert priorities(await node.work.fetch(8)).count(3) == 2


async def test_a_delay_is_no_wait(cluster: Cluster) -> None:
    cluster.with_settings(starvation_seconds=HOUR_SECONDS)
    node = await cluster.node()
    now_ms = int(cluster.raw.time()[0]) * 1000
    late = [job(priority=3, fairness_key="a", id=early(), ready_ms=now_ms) for _ in range(5)]
    await cluster.submit(*late, *[job(priority=1) for _ in range(9)])
    assert priorities(await node.work.fetch(8)) == [1] * 8


async def test_strict_is_the_default_and_looks_at_no_ages(cluster: Cluster) -> None:
    node = await cluster.node()
    overdue(cluster, *[job(priority=3) for _ in range(5)])
    await cluster.submit(*[job(priority=0) for _ in range(8)])
    cluster.raw.config_resetstat()
    deliveries = await node.work.fetch(8)
    assert priorities(deliveries) == [0] * 8
    await node.work.settle([completed(delivery) for delivery in deliveries])
    calls = cluster.raw.info("commandstats").keys()
    assert not {"cmdstat_xinfo|groups", "cmdstat_xrange", "cmdstat_time"} & calls
