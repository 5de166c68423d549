"""When a unique key is free again, whatever the end of the job that holds it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ironforge.errors import Duplicate, JobNotFound
from ironforge.job.limits import Limit, LimitUse
from ironforge.job.record import JobState, format_id
from ironforge.job.uniqueness import UniqueUse
from ironforge.store import Accepted
from tests.store.declining import declined
from tests.store.kit import Cluster, Node, completed, dead, limited, retry, rewrite, settle
from tests.store.suspects import crash
from tests.store.uniqueness import REJECT, REPLACE, RETURN, holders, submit, unique


async def is_free(cluster: Cluster) -> bool:
    return await holders(cluster) == set()


async def bury(cluster: Cluster, node: Node) -> None:
    (delivery,) = await node.work.fetch(1)
    await node.work.bury([dead(delivery)])


async def test_one_that_runs_holds_its_key_until_its_cancellation_has_ended_it(cluster: Cluster) -> None:
    node = await cluster.node()
    first = unique(REJECT)
    await submit(cluster, first)
    (delivery,) = await node.work.fetch(1)
    await cluster.store_client.producer.cancel(first.id)
    with pytest.raises(Duplicate, match="is running"):
        await submit(cluster, unique(REJECT))
    await node.work.settle([completed(delivery, state="cancelled")])
    assert await is_free(cluster)


@pytest.mark.parametrize("leaving", ["park", "requeue", "bury", "decline"])
async def test_one_that_is_to_be_cancelled_frees_its_key_however_its_run_ends(cluster: Cluster, leaving: str) -> None:
    node = await cluster.node()
    first = unique(REJECT)
    await submit(cluster, first)
    (delivery,) = await node.work.fetch(1)
    await cluster.store_client.producer.cancel(first.id)
    make = {"park": retry, "requeue": rewrite, "bury": dead, "decline": declined}[leaving]
    await getattr(node.work, leaving)([make(delivery)])
    assert await cluster.state(first) is JobState.CANCELLED
    assert await is_free(cluster)


async def test_one_that_is_to_be_cancelled_when_its_node_dies_frees_its_key(cluster: Cluster) -> None:
    victim, heir = await cluster.node(), await cluster.node()
    first = unique(REJECT)
    await submit(cluster, first)
    await victim.work.fetch(1)
    await cluster.store_client.producer.cancel(first.id)
    await crash(cluster, victim, heir)
    assert await is_free(cluster)


async def test_one_that_is_buried_for_its_crashes_frees_its_key(cluster: Cluster) -> None:
    first = unique(REJECT, crashes=1)
    await submit(cluster, first)
    heir = await cluster.node()
    victim = await cluster.node()
    await victim.work.fetch(1)
    await crash(cluster, victim, heir)
    assert await holders(cluster) == {first.id}
    victim = await cluster.node()
    await victim.work.alone.fetch()
    await crash(cluster, victim, heir)
    assert await cluster.state(first) is JobState.DEAD
    assert await is_free(cluster)


async def test_one_that_no_node_serves_frees_its_key_when_it_is_given_up(cluster: Cluster) -> None:
    cluster.with_settings(unserved_seconds=1.0)
    old = await cluster.node([])
    await submit(cluster, unique(REJECT))
    await old.work.decline([declined(each) for each in await old.work.fetch(1)])
    cluster.raw.zadd(cluster.keys.unserved, {"default:2:k": -10_000_000})
    await old.work.bury_unserved()
    assert await is_free(cluster)


async def test_one_that_a_full_limit_cancels_frees_its_key(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=1, when_full="cancel_new"))
    node = await cluster.node()
    await cluster.submit(*limited(1))
    await node.work.fetch(1)
    first = unique(REJECT, limits=(LimitUse("one", "a"),))
    await submit(cluster, first)
    assert await node.work.fetch(1) == []
    assert await cluster.state(first) is JobState.CANCELLED
    assert await is_free(cluster)


async def test_one_that_makes_way_for_a_new_one_frees_its_key(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=1, when_full="cancel_oldest"))
    node = await cluster.node()
    first = unique(REJECT, limits=(LimitUse("one", "a"),))
    await submit(cluster, first)
    held = await node.work.fetch(1)
    await cluster.submit(*limited(1))
    await node.work.fetch(1)
    await node.work.settle([completed(held[0], state="cancelled")])
    assert await is_free(cluster)


async def test_a_settlement_of_a_full_server_frees_the_key(cluster: Cluster) -> None:
    node = await cluster.node()
    await submit(cluster, unique(REJECT))
    held = await node.work.fetch(1)
    cluster.raw.config_set("maxmemory", 1)
    try:
        await settle(node, held)
    finally:
        cluster.raw.config_set("maxmemory", 0)
    assert await is_free(cluster)


@pytest.mark.parametrize("retention_ms", [0, 3_600_000])
async def test_an_end_without_retention_frees_the_key_as_well(cluster: Cluster, retention_ms: int) -> None:
    node = await cluster.node()
    await submit(cluster, unique(REJECT))
    (delivery,) = await node.work.fetch(1)
    await node.work.settle([completed(delivery, retention_ms=retention_ms)])
    assert await is_free(cluster)


async def test_a_throttle_answers_with_its_first_job_also_when_that_is_past_its_retention(cluster: Cluster) -> None:
    node = await cluster.node()
    use = UniqueUse("a", "", for_ms=60_000)
    first = unique(use)
    await submit(cluster, first)
    (delivery,) = await node.work.fetch(1)
    await node.work.settle([completed(delivery, retention_ms=0)])
    assert await submit(cluster, unique(use)) == Accepted(first.id, JobState.COMPLETED, deduplicated=True)
    with pytest.raises(JobNotFound):
        await cluster.store_client.inspector.get(first.id)


@pytest.mark.parametrize("end", ["dead", "cancelled"])
async def test_a_throttle_goes_on_whatever_the_end_of_its_first_job(cluster: Cluster, end: str) -> None:
    node = await cluster.node()
    use = UniqueUse("a", "", for_ms=60_000, on_conflict="reject")
    first = unique(use)
    await submit(cluster, first)
    if end == "dead":
        await bury(cluster, node)
    else:
        await cluster.store_client.producer.cancel(first.id)
    with pytest.raises(Duplicate, match=f"is {end}"):
        await submit(cluster, unique(use))


async def test_the_end_of_one_whose_time_is_over_leaves_the_key_to_its_new_owner(cluster: Cluster) -> None:
    node = await cluster.node()
    use = UniqueUse("a", for_ms=60_000, on_conflict="reject")
    first, second = unique(use), unique(use)
    await submit(cluster, first)
    (delivery,) = await node.work.fetch(1)
    cluster.raw.delete(cluster.keys.unique("k:a"))  # as it expires
    await submit(cluster, second)
    await node.work.settle([completed(delivery)])
    assert await holders(cluster) == {second.id}


async def test_the_retention_of_a_dead_job_is_no_matter_of_the_one_that_has_its_key_now(cluster: Cluster) -> None:
    node = await cluster.node()
    first, second = unique(REJECT), unique(REJECT)
    await submit(cluster, first)
    await bury(cluster, node)
    await submit(cluster, second)
    cluster.raw.zadd(cluster.keys.dead, {first.id: 1})
    assert await node.work.expire() == 1
    assert await holders(cluster) == {second.id}


async def revive(cluster: Cluster, first: Any) -> None:
    await cluster.store_client.producer.retry(first.id, reset_retry_count=True)


async def test_a_dead_job_can_be_retried_again_when_the_other_one_has_ended(cluster: Cluster) -> None:
    node = await cluster.node()
    first, second = unique(REJECT), unique(REJECT)
    await submit(cluster, first)
    await bury(cluster, node)
    await submit(cluster, second)
    before = cluster.snapshot()
    with pytest.raises(Duplicate) as caught:
        await revive(cluster, first)
    assert caught.value.job_id == format_id(second.id)
    assert cluster.snapshot() == before
    await settle(node, await node.work.fetch(1))
    await revive(cluster, first)
    assert await holders(cluster) == {first.id}


async def test_a_dead_job_can_be_retried_when_the_other_one_held_the_key_until_it_started(cluster: Cluster) -> None:
    node = await cluster.node()
    use = UniqueUse("a", "queued", on_conflict="reject")
    first, second = unique(use), unique(use)
    await submit(cluster, first)
    await bury(cluster, node)
    await submit(cluster, second)
    with pytest.raises(Duplicate):
        await revive(cluster, first)
    held = await node.work.fetch(1)
    await revive(cluster, first)
    assert await holders(cluster) == {first.id}
    await settle(node, held)
    assert await holders(cluster) == {first.id}


async def test_a_retry_that_is_refused_brings_no_queue_back(cluster: Cluster) -> None:
    node = await cluster.node()
    cluster.with_settings(queues=("gone",))
    theirs = await cluster.node()
    first, second = unique(REJECT, queue="gone"), unique(REJECT)
    await submit(cluster, first)
    await bury(cluster, theirs)
    await theirs.leases.leave(theirs.lease)
    await node.work.expire()
    assert cluster.raw.smembers(cluster.keys.queues) == {b"default"}
    await submit(cluster, second)
    with pytest.raises(Duplicate):
        await revive(cluster, first)
    assert cluster.raw.smembers(cluster.keys.queues) == {b"default"}


async def test_a_key_of_another_type_leaves_a_dead_job_dead(cluster: Cluster) -> None:
    node = await cluster.node()
    first = unique(REJECT)
    await submit(cluster, first)
    await bury(cluster, node)
    cluster.raw.set(cluster.keys.unique("k:a"), "x", ex=60)
    with pytest.raises(Exception, match="WRONGTYPE"):
        await revive(cluster, first)
    assert await cluster.state(first) is JobState.DEAD


async def test_a_revived_job_holds_its_key_for_its_time_anew(cluster: Cluster) -> None:
    node = await cluster.node()
    first = unique(UniqueUse("a", for_ms=60_000))
    await submit(cluster, first)
    await bury(cluster, node)
    await revive(cluster, first)
    assert 50_000 < cluster.raw.pttl(cluster.keys.unique("k:a")) <= 60_000


async def test_one_that_is_put_aside_keeps_its_key_until_it_has_come_back_and_ended(cluster: Cluster) -> None:
    node = await cluster.node()
    first = unique(RETURN)
    await submit(cluster, first)
    (delivery,) = await node.work.fetch(1)
    await node.work.bury_raw(delivery, "newer")
    cluster.checked = False  # until it is back
    assert (await submit(cluster, unique(RETURN))).id == first.id
    other = await cluster.node()
    assert await other.work.restore() == 1
    cluster.checked = True
    await settle(other, await other.work.fetch(1))
    assert await is_free(cluster)


WAYS = [UniqueUse("a", for_ms=60_000), UniqueUse("a", "", 60_000)]


@pytest.mark.parametrize("use", WAYS, ids=["until its end as well", "for a time alone"])
async def test_one_that_is_replaced_by_one_with_a_time_holds_its_key_no_longer_than_that(
    cluster: Cluster, use: UniqueUse
) -> None:
    await submit(cluster, unique(REJECT))
    await submit(cluster, unique(msgspec.structs.replace(use, on_conflict="replace")))
    assert 50_000 < cluster.raw.pttl(cluster.keys.unique("k:a")) <= 60_000


@pytest.mark.parametrize("use", WAYS, ids=["until its end as well", "for a time alone"])
async def test_one_that_is_replaced_by_one_without_a_time_holds_its_key_until_its_end(
    cluster: Cluster, use: UniqueUse
) -> None:
    node = await cluster.node()
    await submit(cluster, unique(use))
    await submit(cluster, unique(REPLACE))
    assert cluster.raw.pttl(cluster.keys.unique("k:a")) == -1
    await settle(node, await node.work.fetch(1))
    assert await is_free(cluster)
