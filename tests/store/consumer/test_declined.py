"""Jobs whose kind their node does not know: they wait for one that does, and lose nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ironforge.errors import LeaseLost
from ironforge.job.record import decode
from ironforge.store import Rewrite
from tests.store.declining import a_line, declined, ids, knowing
from tests.store.kit import Cluster, completed, job, job_in, keyed, rewrite, stream_of
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio


async def test_a_declined_job_goes_to_a_node_that_knows_its_kind(cluster: Cluster) -> None:
    one = job()
    old = await a_line(cluster, one)
    assert await ids(old) == []
    assert await ids(await knowing(cluster)) == [one.id]


async def test_its_record_is_the_one_that_was_delivered(cluster: Cluster) -> None:
    one = job()
    await a_line(cluster, one)
    [delivery] = await (await knowing(cluster)).work.fetch(1)
    assert job_in(delivery) == one


async def test_a_node_of_other_kinds_takes_none(cluster: Cluster) -> None:
    await a_line(cluster, job())
    assert await ids(await knowing(cluster, "other", "k.2")) == []


async def test_they_come_in_the_order_of_their_creation_whatever_their_kind(cluster: Cluster) -> None:
    jobs = [job(kind=kind) for kind in "baab"]
    await a_line(cluster, *reversed(jobs))
    assert await ids(await knowing(cluster, "a", "b")) == [one.id for one in jobs]


async def test_they_come_before_what_is_new_and_behind_what_is_more_urgent(cluster: Cluster) -> None:
    waited, new, urgent = job(), job(), job(priority=1)
    await a_line(cluster, waited)
    await cluster.submit(new, urgent)
    assert await ids(await knowing(cluster)) == [urgent.id, waited.id, new.id]


async def test_what_came_back_to_the_stream_is_ahead_of_them(cluster: Cluster) -> None:
    waited, back = job(), job()
    old = await a_line(cluster, waited)
    await cluster.submit(back)
    await old.work.requeue([rewrite(each) for each in await old.work.fetch(1)])
    assert await ids(await knowing(cluster)) == [back.id, waited.id]


async def test_a_node_that_wants_few_takes_few(cluster: Cluster) -> None:
    jobs = [job() for _ in range(3)]
    await a_line(cluster, *jobs)
    new = await knowing(cluster)
    found = [await ids(new, 1) for _ in range(4)]
    assert found == [[jobs[0].id], [jobs[1].id], [jobs[2].id], []]


async def test_a_job_with_a_fairness_key_is_declined_as_well(cluster: Cluster) -> None:
    jobs = keyed("tenant", 3)
    await a_line(cluster, *jobs)
    await cluster.submit(*(others := keyed("other", 2)))
    found = await ids(await knowing(cluster))
    assert found[:3] == [one.id for one in jobs]
    assert set(found[3:]) == {one.id for one in others}


async def test_a_paused_queue_stays_paused(cluster: Cluster) -> None:
    one = job()
    await a_line(cluster, one)
    await cluster.store_client.producer.set_paused("default", paused=True)
    new = await knowing(cluster)
    assert await ids(new) == []
    await cluster.store_client.producer.set_paused("default", paused=False)
    await new.work.wake()
    assert await ids(new) == [one.id]


async def test_a_node_that_waits_is_woken(cluster: Cluster) -> None:
    new = await knowing(cluster)
    old = await cluster.node([])
    one = job()
    await cluster.submit(one)
    [delivery] = await old.work.fetch(1)
    await new.work.wake()  # as one that has heard of room before: a read of one that has not ends by itself
    waiting = asyncio.ensure_future(new.work.wait(1, 600))
    heard = new.store.signals.listen()
    assert (await anext(heard)).name == "connected"
    await old.work.decline([declined(delivery)])
    while (await anext(heard)).name != "room":
        pass

    async def woken() -> bool:
        await new.work.wake()
        return waiting.done()

    await until(woken, "the node to be woken")
    found = await waiting or await new.work.wait(1, 20)
    assert [job_in(each).id for each in found] == [one.id]


async def test_nodes_are_told_when_a_line_begins_and_not_for_each_job(cluster: Cluster) -> None:
    channel = cluster.raw.pubsub(ignore_subscribe_messages=True)
    channel.subscribe(cluster.keys.signals)
    channel.get_message(timeout=5)
    await a_line(cluster, job())
    await a_line(cluster, job())
    await a_line(cluster, job(kind="another"))
    heard = []
    while message := channel.get_message(timeout=0.2):
        heard.append(message["data"])
    channel.close()
    assert heard.count(b"room:") == 2


async def test_what_was_declined_is_written_once_however_often_it_is_said(cluster: Cluster) -> None:
    old = await cluster.node([])
    await cluster.submit(job())
    [delivery] = await old.work.fetch(1)
    for _ in range(2):
        await old.work.decline([declined(delivery)])
    assert len(await ids(await knowing(cluster))) == 1


async def test_a_node_that_was_taken_over_declines_nothing(cluster: Cluster) -> None:
    old = await cluster.node([])
    one = job()
    await cluster.submit(one)
    [delivery] = await old.work.fetch(1)
    new = await knowing(cluster)
    cluster.lapse(old)
    await new.leases.take_over(new.lease, old.lease.node)
    with pytest.raises(LeaseLost):
        await old.work.decline([declined(delivery)])
    assert await ids(new) == [one.id]


async def test_a_node_that_lost_its_lease_is_given_none(cluster: Cluster) -> None:
    await a_line(cluster, job())
    lost = await knowing(cluster)
    cluster.raw.set(cluster.keys.fence(lost.lease.node), 10**9, ex=60)
    assert await ids(lost) == []
    assert cluster.pending() == 0


async def test_what_a_dead_node_was_given_goes_to_the_next(cluster: Cluster) -> None:
    one = job()
    await a_line(cluster, one)
    dead, new = await knowing(cluster), await knowing(cluster)
    assert await ids(dead) == [one.id]
    cluster.lapse(dead)
    await new.leases.take_over(new.lease, dead.lease.node)
    assert await ids(new) == [one.id]


async def test_an_overdue_one_gets_its_share(cluster: Cluster) -> None:
    cluster.with_settings(starvation_seconds=0.001)
    low = job(priority=3)
    await a_line(cluster, low)
    await cluster.submit(*(job(priority=0) for _ in range(40)))
    assert low.id in await ids(await knowing(cluster), 20)


async def test_one_whose_record_is_gone_is_put_aside(cluster: Cluster) -> None:
    one, other = job(), job()
    await a_line(cluster, one, other)
    cluster.raw.hdel(cluster.keys.parked, one.id)
    assert await ids(await knowing(cluster)) == [other.id]
    [(_, fields)] = cluster.raw.xrange(cluster.keys.quarantine)
    assert fields[b"id"] == one.id


async def test_nothing_is_kept_of_a_line_that_is_empty(cluster: Cluster) -> None:
    await a_line(cluster, job())
    new = await knowing(cluster)
    await new.work.settle([completed(each) for each in await new.work.fetch(1)])
    kept: list[Any] = cluster.raw.keys(cluster.keys.declined("*")) + cluster.raw.keys(cluster.keys.unserved)
    assert kept == []


@pytest.mark.parametrize("key", ["unserved", "declined"])
async def test_a_key_of_another_type_leaves_the_job_where_it_is(cluster: Cluster, key: str) -> None:
    old = await cluster.node([])
    one = job()
    await cluster.submit(one)
    [delivery] = await old.work.fetch(1)
    name = cluster.keys.unserved if key == "unserved" else cluster.keys.declined("default:2")
    cluster.raw.set(name, "something else")
    declining = asyncio.ensure_future(old.work.decline([declined(delivery)]))
    await asyncio.wait([declining], timeout=0.3)
    assert not declining.done()
    assert cluster.pending() == 1
    cluster.raw.delete(name)
    await declining
    assert await ids(await knowing(cluster)) == [one.id]


async def test_suspects_stay_alone(cluster: Cluster) -> None:
    old = await cluster.node([])
    suspect = job(crashes=2)
    await cluster.submit(suspect)
    [(stream, entry, record)] = await old.work.fetch(1)
    await old.work.requeue([Rewrite.of(stream, entry, decode(record), failed=False, alone=True)])
    assert await old.work.alone.claim()
    await old.work.decline([declined(each) for each in await old.work.alone.fetch()])
    await old.work.alone.unclaim()
    new = await knowing(cluster)
    assert await ids(new) == []
    assert new.work.alone.wait
    assert await new.work.alone.claim()
    [delivery] = await new.work.alone.fetch()
    assert job_in(delivery).id == suspect.id
    assert stream_of(delivery) == "default:2a"
