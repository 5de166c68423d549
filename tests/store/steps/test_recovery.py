"""Jobs with a journal whose nodes die: what was recorded stays theirs, and who got further has not crashed in vain."""

from __future__ import annotations

import pytest

from ironforge.job.record import Job, JobState
from ironforge.steps import journal
from ironforge.steps.journal import Entry, EntryKind
from ironforge.store import Delivery, NewStep
from tests.store.kit import Cluster, Node, completed, job, job_in
from tests.store.steps.waiting import hour_from_now, kept, waiting


def step(delivery: Delivery, field: str) -> NewStep:
    found = job_in(delivery)
    value = journal.encode(Entry(EntryKind.STEP, b"1", 1, 2, found.fence))
    return NewStep(*delivery[:2], found.id, found.fence, field, value)


async def crash(cluster: Cluster, node: Node) -> Node:
    """Another node, which took over what this one held."""
    other = await cluster.node()
    cluster.lapse(node)
    await other.leases.take_over(other.lease, node.lease.node)
    return other


async def taken(node: Node) -> tuple[Delivery, Job]:
    """Also one that has to run alone."""
    deliveries = await node.work.fetch(1)
    if not deliveries:
        await node.work.alone.claim()
        deliveries = await node.work.alone.fetch()
    return deliveries[0], job_in(deliveries[0])


async def test_a_job_whose_node_died_says_that_it_has_a_journal(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(job())
    (delivery,) = await node.work.fetch(1)
    await node.work.record_steps([step(delivery, "charge")])
    other = await crash(cluster, node)
    again, record = await taken(other)
    assert (record.journal, record.version, record.fence, record.crashes) == (True, 2, 1, 1)
    assert list(await other.work.journal(again[0], record.id)) == ["charge"]
    await other.work.settle([completed(again)])


async def test_a_job_without_steps_stays_as_it_was(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(job())
    await node.work.fetch(1)
    other = await crash(cluster, node)
    again, record = await taken(other)
    assert (record.journal, record.version, record.crashes) == (False, 1, 1)
    await other.work.settle([completed(again)])


@pytest.mark.parametrize("records", [True, False])
async def test_each_recorded_step_begins_the_count_of_crashes_anew(cluster: Cluster, records: bool) -> None:
    node = await cluster.node()
    one = job()
    await cluster.submit(one)
    for life in range(5):
        delivery, record = await taken(node) if await is_there(cluster, one) else (None, None)
        if delivery is None or record is None:
            break
        if records or life == 0:
            await node.work.record_steps([step(delivery, f"step {life}")])
        node = await crash(cluster, node)
    assert await cluster.state(one) is (JobState.QUEUED if records else JobState.DEAD)


async def is_there(cluster: Cluster, one: Job) -> bool:
    return await cluster.state(one) is JobState.QUEUED


async def test_a_job_that_waits_survives_all_nodes(cluster: Cluster) -> None:
    node = await cluster.node()
    one = job()
    await cluster.submit(one)
    (delivery,) = await node.work.fetch(1)
    await node.work.park_waiting([waiting(delivery, "event", "paid", hour_from_now())])
    await cluster.store_client.events.send("paid", b"1", 1)
    other = await crash(cluster, node)
    assert (await other.work.promote()).moved == 1
    await other.work.settle([completed(kept((await other.work.fetch(1))[0]))])


async def test_what_a_dead_node_was_about_to_park_is_parked_once(cluster: Cluster) -> None:
    """The call arrives after its node was taken over: the job is with another one, and stays there."""
    node = await cluster.node()
    await cluster.submit(job())
    (delivery,) = await node.work.fetch(1)
    other = await crash(cluster, node)
    with pytest.raises(Exception, match="lease"):
        await node.work.park_waiting([waiting(delivery, "event", "paid", hour_from_now())])
    again, _ = await taken(other)
    assert not cluster.raw.exists(cluster.keys.waiting("event"))
    await other.work.settle([completed(again)])


async def test_a_job_that_was_put_aside_comes_back_with_its_journal(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(job())
    (delivery,) = await node.work.fetch(1)
    await node.work.record_steps([step(delivery, "charge")])
    await node.work.bury_raw(delivery, "newer")
    assert await node.work.restore() == 1
    again, record = await taken(node)
    assert (record.journal, record.version, record.fence) == (True, 2, 1)
    await node.work.settle([completed(again)])
