"""Jobs that stay with the version of the application that began them: others decline them, and lose nothing."""

from __future__ import annotations

import pytest

from ironforge.doctor.consistency import inconsistencies
from ironforge.job.limits import LimitUse
from ironforge.job.record import JobState, decode
from ironforge.redis.connection import Connection
from ironforge.store.counts import VersionLine
from tests.store.declining import ids
from tests.store.kit import Cluster, completed, job, job_in
from tests.store.versions.two_versions import a_line, begin, begun, decline, node_of

pytestmark = pytest.mark.asyncio


async def test_a_job_goes_back_to_a_node_of_its_version(cluster: Cluster) -> None:
    one = job()
    new = await a_line(cluster, one)
    assert await ids(new) == []
    assert await ids(await node_of(cluster, "1")) == [one.id]


async def test_its_record_is_the_one_that_was_delivered(cluster: Cluster) -> None:
    one = job()
    await a_line(cluster, one)
    [delivery] = await (await node_of(cluster, "1")).work.fetch(1)
    assert job_in(delivery) == begun(one)


@pytest.mark.parametrize("version", ["1:a", "a b", "ü@\u2028", "2026-11-28T00:30:00", "%31", "x" * 64])
async def test_a_version_may_be_any_words(cluster: Cluster, version: str) -> None:
    one = job()
    new = await a_line(cluster, one, version=version)
    assert await ids(new) == []
    assert (await cluster.store_client.inspector.stats()).versions == [VersionLine("default", "k", version, 1)]
    assert await ids(await node_of(cluster, version)) == [one.id]


async def test_nodes_whose_kind_has_no_such_policy_take_it(cluster: Cluster) -> None:
    one = job()
    await a_line(cluster, one)
    assert await ids(await node_of(cluster, "3", "any")) == [one.id]


async def test_a_node_of_another_kind_takes_none(cluster: Cluster) -> None:
    await a_line(cluster, job())
    assert await ids(await node_of(cluster, "1", kind="k1")) == []


async def test_one_that_has_not_run_goes_to_any_version(cluster: Cluster) -> None:
    one = job()
    await cluster.submit(one)
    await decline(await cluster.node([]), 1)
    assert await ids(await node_of(cluster, "2")) == [one.id]


async def test_nodes_are_told_of_the_line(cluster: Cluster) -> None:
    channel = cluster.raw.pubsub(ignore_subscribe_messages=True)
    channel.subscribe(cluster.keys.signals)
    channel.get_message(timeout=5)
    await a_line(cluster, job())
    heard = []
    while message := channel.get_message(timeout=0.2):
        heard.append(message["data"])
    channel.close()
    assert b"room:" in heard


async def test_nothing_is_kept_of_a_line_that_is_empty(cluster: Cluster) -> None:
    await a_line(cluster, job())
    old = await node_of(cluster, "1")
    await old.work.settle([completed(each) for each in await old.work.fetch(1)])
    kept = [cluster.raw.exists(name) for name in (cluster.keys.versionlines, cluster.keys.unserved)]
    assert kept == [0, 0]


async def test_one_that_is_cancelled_leaves_its_line(cluster: Cluster) -> None:
    one = job()
    await a_line(cluster, one)
    assert await cluster.store_client.producer.cancel(one.id) is JobState.CANCELLED
    assert cluster.raw.exists(cluster.keys.versionlines) == 0


async def test_one_with_a_limit_gives_its_place_back_and_takes_one_again(one: Cluster) -> None:
    jobs = [job(limits=(LimitUse("one", "a"),)) for _ in range(2)]
    old = await node_of(one, "1")
    await one.submit(*jobs)
    await begin(old, jobs[0])
    await old.leases.leave(old.lease)
    new = await node_of(one, "2")
    await decline(new, 1)
    held = await new.work.fetch(2)
    assert [job_in(each).id for each in held] == [jobs[1].id]
    old = await node_of(one, "1")
    assert await ids(old) == []
    await new.work.settle([completed(each) for each in held])
    await old.work.wake()
    assert await ids(old) == [jobs[0].id]


async def test_what_a_killed_node_held_stays_with_its_version(cluster: Cluster) -> None:
    one = job()
    old, new = await node_of(cluster, "1"), await node_of(cluster, "2")
    await cluster.submit(one)
    assert await ids(old) == [one.id]
    cluster.lapse(old)
    await new.leases.take_over(new.lease, old.lease.node)
    [delivery] = await new.work.fetch(1)
    assert (job_in(delivery).app_version, job_in(delivery).crashes) == ("1", 1)


async def test_what_a_killed_node_held_keeps_the_version_that_began_it(cluster: Cluster) -> None:
    one = job()
    old = await node_of(cluster, "1")
    await cluster.submit(one)
    await begin(old, one)
    anyone, new = await node_of(cluster, "2", "any"), await node_of(cluster, "3")
    await old.leases.leave(old.lease)
    assert await ids(anyone) == [one.id]
    cluster.lapse(anyone)
    await new.leases.take_over(new.lease, anyone.lease.node)
    [delivery] = await new.work.fetch(1)
    assert job_in(delivery).app_version == "1"


async def test_what_a_node_held_that_left_stays_with_its_version(cluster: Cluster) -> None:
    one = job()
    old, new = await node_of(cluster, "1"), await node_of(cluster, "2")
    await cluster.submit(one)
    assert await ids(old) == [one.id]
    await old.leases.leave(old.lease)
    [delivery] = await new.work.fetch(1)
    assert job_in(delivery).app_version == "1"


async def test_of_a_kind_with_the_usual_policy_nothing_is_written(cluster: Cluster) -> None:
    one = job()
    old, new = await node_of(cluster, "1", "any"), await node_of(cluster, "2", "any")
    await cluster.submit(one)
    assert await ids(old) == [one.id]
    cluster.lapse(old)
    await new.leases.take_over(new.lease, old.lease.node)
    [delivery] = await new.work.fetch(1)
    assert (job_in(delivery).app_version, job_in(delivery).version) == ("", 1)


async def test_the_index_and_its_places_agree(cluster: Cluster) -> None:
    await a_line(cluster, job())
    async with Connection(cluster.url, cluster.keys.prefix) as connection:
        assert await inconsistencies(connection, cluster.keys) == []


async def test_a_key_of_another_type_leaves_the_job_where_it_is(cluster: Cluster) -> None:
    one = job()
    await a_line(cluster, one)
    old = await node_of(cluster, "1")
    cluster.raw.rename(cluster.keys.versionlines, cluster.keys.prefix + "aside")
    cluster.raw.set(cluster.keys.versionlines, "something else")
    with pytest.raises(Exception, match="versionlines"):
        await cluster.store_client.producer.cancel(one.id)
    cluster.raw.rename(cluster.keys.prefix + "aside", cluster.keys.versionlines)
    assert await ids(old) == [one.id]


async def test_the_one_that_was_declined_is_seen_in_lists(cluster: Cluster) -> None:
    one = job()
    await a_line(cluster, one)
    [view] = (await cluster.store_client.inspector.jobs()).jobs
    assert view.waiting_for is not None
    assert (view.waiting_for.code, view.job.app_version) == ("no_node_for_version", "1")
    record = cluster.raw.hget(cluster.keys.parked, one.id)
    assert decode(record) == begun(one)
