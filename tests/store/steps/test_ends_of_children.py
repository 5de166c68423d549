"""Whatever ends a child, its parent is told in the same write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from ironforge.job.expiry import EXPIRED
from ironforge.job.limits import PREEMPTED, Limit, LimitUse
from ironforge.job.record import JobState
from ironforge.job.uniqueness import UniqueUse
from ironforge.store import Rewrite, Submission
from tests.store.declining import declined
from tests.store.expiring import lapsed, sweep
from tests.store.kit import Cluster, completed, dead, job, job_in, limited, retry, rewrite, settle
from tests.store.steps.family import Family, begun, with_options
from tests.store.suspects import crash

NAME = "pack\n0.0"
ONE = (LimitUse("one", "a"),)


async def child(family: Family, **fields: Any) -> Any:
    """The only one, as it is delivered."""
    await family.submit(1, with_options(**fields))
    (delivery,) = await family.node.work.fetch(10)
    return delivery


async def completes(family: Family) -> None:
    await settle(family.node, [await child(family)])


async def completes_and_is_not_kept(family: Family) -> None:
    await family.node.work.settle([completed(await child(family, retain_ms=0), retention_ms=0)])


async def is_cancelled_at_its_node(family: Family) -> None:
    await family.node.work.settle([completed(await child(family), state="cancelled")])


async def expires_at_its_node(family: Family) -> None:
    await family.node.work.settle([completed(await child(family), state="expired")])


async def is_told_to_stop_and_requeued(family: Family) -> None:
    delivery = await child(family)
    await family.cluster.store_client.producer.cancel(job_in(delivery).id)
    await family.node.work.requeue([rewrite(delivery)])


async def is_told_to_stop_and_retried(family: Family) -> None:
    delivery = await child(family)
    await family.cluster.store_client.producer.cancel(job_in(delivery).id)
    await family.node.work.park([retry(delivery, 60_000)])


async def is_told_to_stop_and_buried(family: Family) -> None:
    delivery = await child(family)
    await family.cluster.store_client.producer.cancel(job_in(delivery).id)
    await family.node.work.bury([dead(delivery)])


async def is_told_to_stop_and_its_node_dies(family: Family) -> None:
    await family.submit(1)
    victim = await family.cluster.node()
    (delivery,) = await victim.work.fetch(10)
    await family.cluster.store_client.producer.cancel(job_in(delivery).id)
    await crash(family.cluster, victim, family.node)


async def gives_up(family: Family) -> None:
    delivery = await child(family)
    failed = retry(delivery)
    gave_up = msgspec.msgpack.decode(failed.record, type=type(job_in(delivery))).finish(JobState.DEAD, 1, reason="no")
    await family.node.work.bury([Rewrite.of(*delivery[:2], gave_up)])


async def is_poison(family: Family) -> None:
    """Its node dies while it runs alone."""
    await family.submit(1, with_options(crashes=2))
    victim = await family.cluster.node()
    assert len(await victim.work.fetch(10)) == 1
    await crash(family.cluster, victim, family.node)
    victim = await family.cluster.node()
    assert await victim.work.fetch(10) == []
    assert await victim.work.alone.claim()
    assert len(await victim.work.alone.fetch()) == 1
    await crash(family.cluster, victim, family.node)


async def is_not_served(family: Family) -> None:
    await decline(family)
    family.cluster.raw.zincrby(family.cluster.keys.unserved, 1e12, "")
    assert len(await family.node.work.bury_unserved()) == 1


async def decline(family: Family, **fields: Any) -> None:
    await family.submit(1, with_options(**fields))
    old = await family.cluster.node([])
    await old.work.decline([declined(each) for each in await old.work.fetch(10)])
    await old.leases.leave(old.lease)


async def cancel(family: Family) -> None:
    (job_id,) = family.open().values()
    assert await family.cluster.store_client.producer.cancel(job_id) is JobState.CANCELLED


async def is_cancelled_in_its_queue(family: Family) -> None:
    await family.submit(1)
    await cancel(family)


async def is_cancelled_and_not_kept(family: Family) -> None:
    await family.submit(1, with_options(retain_ms=0))
    await cancel(family)


async def is_cancelled_before_it_is_due(family: Family) -> None:
    await family.submit(1, lambda _: Submission(job(kind="child"), delay_ms=60_000))
    await cancel(family)


async def is_cancelled_before_its_turn(family: Family) -> None:
    await family.cluster.submit(*[job(fairness_key="a") for _ in range(2)])
    await family.submit(1, with_options(fairness_key="a"))
    await cancel(family)


async def is_cancelled_behind_a_limit(family: Family) -> None:
    await fill(family, Limit(concurrency=1))
    await family.submit(1, with_options(limits=ONE))
    await cancel(family)


async def is_cancelled_while_no_node_knows_it(family: Family) -> None:
    await decline(family)
    await cancel(family)


async def expires_in_its_queue(family: Family) -> None:
    await family.submit(1, lambda _: Submission(job(kind="child"), expires_in_ms=1))
    (job_id,) = family.open().values()
    await lapsed(family.cluster, job(id=job_id))
    await sweep(family.cluster)
    assert family.records()[NAME].reason == EXPIRED


async def fill(family: Family, limit: Limit) -> None:
    await family.cluster.store_client.limits.put("one", limit)
    await family.cluster.submit(*limited(1))
    assert len(await family.node.work.fetch(1)) == 1


async def meets_a_full_limit(family: Family) -> None:
    await fill(family, Limit(concurrency=1, when_full="cancel_new"))
    await family.submit(1, with_options(limits=ONE))
    assert await family.node.work.fetch(10) == []
    assert family.records()[NAME].reason == "limit_full"


async def makes_way_for_another_one(family: Family) -> None:
    await family.cluster.store_client.limits.put("one", Limit(concurrency=1, when_full="cancel_oldest"))
    delivery = await child(family, limits=ONE)
    await family.cluster.submit(*limited(1))
    assert await family.node.work.fetch(10) == []
    assert await family.node.work.cancel_requested([job_in(delivery).id]) == [job_in(delivery).id]
    await family.node.work.requeue([rewrite(delivery)])
    assert family.records()[NAME].reason == PREEMPTED


async def is_replaced(family: Family) -> None:
    unique = UniqueUse("u", on_conflict="replace")
    await family.submit(1, with_options(unique=unique))
    (job_id,) = family.open().values()
    await family.cluster.submit(msgspec.structs.replace(job(kind="child"), unique=unique, version=2))
    assert await family.cluster.state(job(id=job_id)) is JobState.QUEUED
    assert "unique key" in family.records()[NAME].reason


async def is_put_off_by_another_one(family: Family) -> None:
    unique = UniqueUse("u", "queued", on_conflict="debounce")
    await family.submit(1, lambda _: Submission(job(kind="child", unique=unique), delay_ms=60_000))
    other = msgspec.structs.replace(job(kind="child"), unique=unique, version=2)
    await family.cluster.submit(other, delay_ms=60_000)


async def finds_its_unique_key_taken(family: Family) -> None:
    other = msgspec.structs.replace(job(kind="child"), unique=UniqueUse("u"), version=2)
    await family.cluster.submit(other)
    await family.submit(1, with_options(unique=UniqueUse("u", on_conflict="reject")))
    assert family.records()[NAME].reason == f"job {other.text_id} has its unique key"


ENDS: dict[str, list[Callable[[Family], Awaitable[None]]]] = {
    "completed": [completes, completes_and_is_not_kept],
    "dead": [gives_up, is_poison, is_not_served],
    "cancelled": [
        is_cancelled_at_its_node,
        expires_at_its_node,
        is_told_to_stop_and_requeued,
        is_told_to_stop_and_retried,
        is_told_to_stop_and_buried,
        is_told_to_stop_and_its_node_dies,
        is_cancelled_in_its_queue,
        is_cancelled_and_not_kept,
        is_cancelled_before_it_is_due,
        is_cancelled_before_its_turn,
        is_cancelled_behind_a_limit,
        is_cancelled_while_no_node_knows_it,
        expires_in_its_queue,
        meets_a_full_limit,
        makes_way_for_another_one,
        is_replaced,
        is_put_off_by_another_one,
        finds_its_unique_key_taken,
    ],
}


@pytest.mark.parametrize(("how", "end"), [(how, end) for how, ends in ENDS.items() for end in ends])
async def test_a_parent_is_told(cluster: Cluster, how: str, end: Callable[[Family], Awaitable[None]]) -> None:
    family = await begun(cluster, await cluster.node([]))
    await end(family)
    assert family.ended() == {NAME: how}
    assert family.open() == {}
    assert family.is_told() or end is finds_its_unique_key_taken
    (told,) = await family.results()
    assert told.payload == b""
    assert told.ended == how
