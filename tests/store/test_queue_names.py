"""Names of queues: how many may be in use, and when one goes that nobody uses."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from ironforge.errors import QuotaExceeded
from ironforge.job.record import Job, JobState
from ironforge.store import Submission
from ironforge.store.contract import Most
from ironforge.store.queue_names import forget_unused
from tests.store.kit import Cluster, completed, dead, job, job_in, keyed, retry


def names(cluster: Cluster) -> set[str]:
    return {name.decode() for name in cluster.raw.smembers(cluster.keys.queues)}


def own_keys(cluster: Cluster, queue: str) -> list[bytes]:
    return sorted(
        key for word in ("q", "fair", "turns") for key in cluster.raw.keys(f"{cluster.keys.prefix}{word}:{queue}:*")
    )


# --------------------------------------------------------------------------- how many


async def test_one_name_too_many_is_refused_and_nothing_of_its_batch_is_stored(cluster: Cluster) -> None:
    cluster.with_settings(max_queues=3)
    await cluster.submit(job("a"), job("b"), job("b", 0))
    before = cluster.snapshot()
    for options in ({}, {"delay_ms": 60_000}):
        with pytest.raises(QuotaExceeded, match=r"may use 3 names of queues, 2 are in use, and 2 more") as refused:
            await cluster.submit(job("a"), job("z"), job("d"), **options)
        assert refused.value.quota == "namespace.queues"
        assert refused.value.current == 2
        assert refused.value.limit == 3
    with pytest.raises(QuotaExceeded):
        await cluster.submit(*keyed("key", 1, queue="z"), *keyed("key", 1, queue="d"))
    assert cluster.snapshot() == before
    await cluster.submit(job("a"), job("z"))
    assert names(cluster) == {"a", "b", "z"}


async def test_a_caller_may_have_another_limit(cluster: Cluster) -> None:
    producer = cluster.store_client.producer
    with pytest.raises(QuotaExceeded, match="may use 1 names"):
        await producer.submit([Submission(job("a")), Submission(job("b"))], most=Most(1, limit_keys=1))
    await producer.submit([Submission(job("a")), Submission(job("b"))], most=Most(2, limit_keys=1))
    with pytest.raises(QuotaExceeded):
        await producer.set_paused("z", paused=True, most=Most(2, limit_keys=1))


async def test_a_refused_one_takes_nobody_along_in_its_flight(cluster: Cluster) -> None:
    cluster.with_settings(max_queues=2)
    await cluster.submit(job("a"))
    answers = await asyncio.gather(
        *(cluster.submit(job(queue)) for queue in ("a", "b", "z", "a", "d")), return_exceptions=True
    )
    assert [one and type(one) for one in answers] == [None, None, QuotaExceeded, None, QuotaExceeded]


async def test_who_repeats_a_submission_needs_no_further_place(cluster: Cluster) -> None:
    cluster.with_settings(max_queues=1)
    producer = cluster.store_client.producer
    first = Submission(job("a"), idempotency_key="key", delay_ms=60_000)
    [accepted] = await producer.submit([first])
    await producer.cancel(accepted.id)
    await cluster.submit(job("b"))
    repeated = await producer.submit([msgspec.structs.replace(first, job=job("a"))])
    assert [(one.id, one.replayed) for one in repeated] == [(accepted.id, True)]
    repeated = await producer.submit([msgspec.structs.replace(first, again=True)])
    assert [(one.id, one.replayed) for one in repeated] == [(accepted.id, True)]
    assert names(cluster) == {"b"}


async def test_names_that_are_only_paused_count_as_well(cluster: Cluster) -> None:
    cluster.with_settings(max_queues=2)
    producer = cluster.store_client.producer
    await producer.set_paused("a", paused=True)
    await producer.set_paused("b", paused=True)
    await producer.set_paused("b", paused=True)
    with pytest.raises(QuotaExceeded, match="2 are in use"):
        await producer.set_paused("z", paused=True)
    assert list((await cluster.store_client.inspector.stats()).paused) == ["a", "b"]
    await producer.set_paused("z", paused=False)
    await producer.set_paused("b", paused=False)
    await forget_unused(cluster.store_client.producer._connection, cluster.keys)
    await cluster.submit(job("z"))
    assert names(cluster) == {"a", "z"}


async def test_who_is_refused_makes_room_by_itself(cluster: Cluster) -> None:
    """Where no node looks after the namespace."""
    cluster.with_settings(max_queues=2)
    tried = [job("a"), job("b")]
    await cluster.submit(*tried, delay_ms=60_000)
    for one in tried:
        await cluster.store_client.producer.cancel(one.id)
    await cluster.submit(job("y"), job("z"))
    assert names(cluster) == {"y", "z"}


async def test_a_revival_finds_its_queue_forgotten(cluster: Cluster) -> None:
    """Its name comes back if there is room, and its stream, from which it is delivered again."""
    cluster.with_settings(max_queues=2, queues=("a",))
    node = await cluster.node()
    one = job("a")
    await cluster.submit(one)
    await node.work.bury([dead(delivery) for delivery in await node.work.fetch(1)])
    await node.leases.leave(node.lease)
    await cluster.submit(job("b"), job("z"))
    assert own_keys(cluster, "a") == []

    producer = cluster.store_client.producer
    with pytest.raises(QuotaExceeded):
        await producer.retry(one.id, reset_retry_count=True)
    assert await cluster.state(one) == JobState.DEAD
    await producer.retry(one.id, reset_retry_count=True, most=Most(3, limit_keys=1))
    assert names(cluster) == {"a", "b", "z"}
    again = await cluster.node()
    assert [job_in(delivery).id for delivery in await again.work.fetch(1)] == [one.id]


# --------------------------------------------------------------------------- which of them are in use


async def test_queues_that_were_only_tried_out_are_forgotten(cluster: Cluster) -> None:
    jobs = [job(f"q{number}") for number in range(250)]
    await cluster.submit(*jobs, delay_ms=60_000)
    for one in jobs:
        await cluster.store_client.producer.cancel(one.id)
    node = await cluster.node()
    assert len(names(cluster)) == 251
    await node.work.expire()
    assert names(cluster) == {"default"}
    assert {queue.queue for queue in (await cluster.store_client.inspector.stats()).streams} == {"default"}


async def scheduled(cluster: Cluster) -> None:
    await cluster.submit(job("a"), delay_ms=60_000)


async def scheduled_by_turns(cluster: Cluster) -> None:
    await cluster.submit(*keyed("key", 1, queue="a"), delay_ms=60_000)


async def queued(cluster: Cluster) -> None:
    await cluster.submit(job("a", 3))


async def waiting_for_its_turn(cluster: Cluster) -> None:
    await cluster.submit(*keyed("key", 2, queue="a"))
    cluster.raw.delete(cluster.keys.stream("a:2"))
    cluster.checked = False


async def paused(cluster: Cluster) -> None:
    await cluster.store_client.producer.set_paused("a", paused=True)


async def served(cluster: Cluster) -> None:
    cluster.with_settings(queues=("a",))
    await cluster.node()


async def running(cluster: Cluster) -> None:
    """On a node that was fenced, and is no longer among those that are there."""
    await served(cluster)
    await cluster.submit(job("a"))
    reading = await cluster.node()
    assert len(await reading.work.fetch(1)) == 1
    cluster.raw.delete(cluster.keys.nodes)
    cluster.checked = False


async def retried(cluster: Cluster) -> None:
    cluster.with_settings(queues=("a",))
    node = await cluster.node()
    await cluster.submit(job("a"))
    await node.work.park([retry(delivery, 60_000) for delivery in await node.work.fetch(1)])
    await node.leases.leave(node.lease)


USES = [scheduled, scheduled_by_turns, queued, waiting_for_its_turn, paused, served, running, retried]


@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
async def test_a_queue_in_use_keeps_its_name(cluster: Cluster, use: Callable[[Cluster], Awaitable[None]]) -> None:
    await use(cluster)
    cluster.with_settings(queues=("default",))
    node = await cluster.node()
    before = own_keys(cluster, "a")
    await node.work.expire()
    assert names(cluster) == {"a", "default"}
    assert own_keys(cluster, "a") == before


async def test_while_a_node_does_not_say_what_it_serves_no_name_goes(cluster: Cluster) -> None:
    """As those of an older version do: it may serve the one that seems unused."""
    one = job("a")
    await cluster.submit(one)
    await cluster.store_client.producer.cancel(one.id)
    node, other = await cluster.node(), await cluster.node()
    cluster.raw.hdel(cluster.keys.roster, other.lease.node)
    await node.work.expire()
    assert names(cluster) == {"a", "default"}
    await other.leases.leave(other.lease)
    await node.work.expire()
    assert names(cluster) == {"default"}


async def test_a_queue_that_its_last_node_has_left_goes_with_its_groups_and_comes_back_whole(cluster: Cluster) -> None:
    """A stream that was removed on purpose is no destroyed group: nobody is fenced for it."""
    bystander = await cluster.node()
    cluster.with_settings(queues=("a",))
    one, two = job("a"), job("a")
    for this in (one, two):
        node = await cluster.node()
        await cluster.submit(this)
        await node.work.settle([completed(delivery) for delivery in await node.work.fetch(5)])
        assert await cluster.state(this) == JobState.COMPLETED
        await node.leases.leave(node.lease)
        await bystander.work.expire()
        assert own_keys(cluster, "a") == []
        assert not [name for name in cluster.raw.smembers(cluster.keys.groups) if name.startswith(b"a:")]
    assert bystander.leases.beat(bystander.lease) == []


async def test_a_node_that_reads_on_after_its_queue_was_forgotten_makes_it_anew(cluster: Cluster) -> None:
    cluster.with_settings(queues=("a",))
    away = await cluster.node()
    cluster.with_settings(queues=("default",))
    node = await cluster.node()
    cluster.lapse(away)
    await node.leases.take_over(node.lease, away.lease.node)
    await node.work.expire()
    assert own_keys(cluster, "a") == []
    assert await away.work.fetch(1) == []
    assert "a" in names(cluster)


async def test_a_delayed_job_brings_back_a_name_that_was_forgotten(cluster: Cluster) -> None:
    """One that an older version scheduled, which does not count those."""
    one, (two,) = job("a"), keyed("key", 1, queue="b")
    await cluster.submit(one, two, delay_ms=60_000)
    cluster.raw.delete(cluster.keys.delayed)
    node = await cluster.node()
    await node.work.expire()
    assert names(cluster) == {"default"}
    cluster.ripen()
    assert (await node.work.promote()).moved == 2
    assert names(cluster) == {"a", "b", "default"}
    assert [await cluster.state(this) for this in (one, two)] == [JobState.QUEUED] * 2


async def test_forgetting_loses_no_job_that_comes_at_the_same_time(cluster: Cluster) -> None:
    cluster.with_settings(queues=("default",))
    sweeping = await cluster.node()
    stop = asyncio.Event()

    async def sweep() -> None:
        while not stop.is_set():
            await sweeping.work.expire()

    async def use(queue: str) -> list[Job]:
        kept = []
        for number in range(40):
            one = job(queue)
            await cluster.submit(one, delay_ms=60_000 if number % 2 else None)
            if number % 4 < 2:
                await cluster.store_client.producer.cancel(one.id)
            else:
                kept.append(one)
        return kept

    sweeper = asyncio.create_task(sweep())
    queues = [f"q{number}" for number in range(8)]
    kept = list(itertools.chain(*await asyncio.gather(*map(use, queues))))
    stop.set()
    await sweeper
    cluster.with_settings(queues=tuple(queues))
    node = await cluster.node()
    cluster.ripen()
    await node.work.promote()
    found = {job_in(delivery).id for delivery in await node.work.fetch(500)}
    assert found == {one.id for one in kept}
