"""Jobs of a version that no node has any more: they are counted, given up in the end, or released to other versions."""

from __future__ import annotations

import asyncio

import pytest

from ironforge.job.record import JobState
from ironforge.store.counts import VersionLine
from ironforge.store.producer import releasing
from tests.store.declining import ids
from tests.store.kit import Cluster, completed, job, job_in
from tests.store.versions.two_versions import a_line, begun, decline, node_of
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio


async def stranded(cluster: Cluster) -> list[VersionLine]:
    inspector = cluster.store_client.inspector
    return (await inspector.kinds()).without_node((await inspector.stats()).versions)


async def test_they_are_counted_while_no_node_has_their_version(cluster: Cluster) -> None:
    await a_line(cluster, job(), job(priority=0))
    assert await stranded(cluster) == [VersionLine("default", "k", "1", 2)]
    await node_of(cluster, "1")
    assert await stranded(cluster) == []


async def test_nodes_of_every_version_that_may_run_them_count(cluster: Cluster) -> None:
    await a_line(cluster, job())
    await node_of(cluster, "3", "any")
    assert await stranded(cluster) == []


async def test_they_are_given_up_when_no_node_has_had_their_version_for_long(cluster: Cluster) -> None:
    cluster.with_settings(unserved_seconds=0.02)
    one = job()
    new = await a_line(cluster, one)

    async def is_buried() -> bool:
        return bool(await new.work.bury_unserved())

    await until(is_buried, "it to be given up")
    view = await cluster.store_client.inspector.get(one.id)
    assert view.state is JobState.DEAD
    assert view.job.reason.startswith(
        "unserved: for 0.02 s no node that serves queue 'default' had version '1' of the application"
    )
    assert cluster.raw.exists(cluster.keys.versionlines) == 0


async def test_a_node_of_their_version_keeps_them_from_that(cluster: Cluster) -> None:
    cluster.with_settings(unserved_seconds=0.001)
    new = await a_line(cluster, job())
    old = await node_of(cluster, "1")
    for _ in range(3):
        assert await new.work.bury_unserved() == []
        await asyncio.sleep(0.002)  # of time that counts
    assert await stranded(cluster) == []
    assert len(await ids(old)) == 1


async def test_a_dead_one_that_is_retried_still_stays_with_its_version(cluster: Cluster) -> None:
    cluster.with_settings(unserved_seconds=0.02)
    one = job()
    new = await a_line(cluster, one)

    async def is_buried() -> bool:
        return bool(await new.work.bury_unserved())

    await until(is_buried, "it to be given up")
    await cluster.store_client.producer.retry(one.id, reset_retry_count=False)
    [delivery] = await new.work.fetch(1)
    assert job_in(delivery).app_version == "1"


async def test_released_ones_go_to_any_version(cluster: Cluster) -> None:
    jobs = [job(), job(priority=1), job()]
    new = await a_line(cluster, *jobs)
    assert await cluster.store_client.producer.release("k", "1", most=10) == 3
    await new.work.wake()
    held = await new.work.fetch(3)
    assert {job_in(each).id for each in held} == {each.id for each in jobs}
    assert {(job_in(each).app_version, job_in(each).fence) for each in held} == {("", 1)}
    await new.work.settle([completed(each) for each in held])
    assert cluster.raw.exists(cluster.keys.versionlines, cluster.keys.unserved) == 0


async def test_at_most_so_many_are_released_by_a_call(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releasing, "JOBS", 2)
    await a_line(cluster, *(job() for _ in range(8)))
    release = cluster.store_client.producer.release
    assert [await release("k", "1", most=5) for _ in range(3)] == [5, 3, 0]


async def test_others_are_not_released(cluster: Cluster) -> None:
    await a_line(cluster, job())
    release = cluster.store_client.producer.release
    assert await release("k", "2", most=5) == 0
    assert await release("other", "1", most=5) == 0
    assert await release("k", "1", most=5, queues=["mails"]) == 0
    assert await stranded(cluster) == [VersionLine("default", "k", "1", 1)]


async def test_a_released_one_stays_with_the_version_that_goes_on_with_it(cluster: Cluster) -> None:
    one = job()
    new = await a_line(cluster, one)
    await cluster.store_client.producer.release("k", "1", most=5)
    await new.work.wake()
    [delivery] = await new.work.fetch(1)
    await new.leases.leave(new.lease)
    third = await node_of(cluster, "3")
    await decline(third, 1)
    assert begun(job_in(delivery), "2").app_version == "2"
    assert await stranded(cluster) == [VersionLine("default", "k", "2", 1)]
