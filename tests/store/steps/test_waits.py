"""Jobs that wait for a time or an event: when they go on, what their journals say then, and who else may end it."""

from __future__ import annotations

import pytest

from ironforge.job.limits import LimitUse
from ironforge.job.record import Job, JobState, decode
from ironforge.job.uniqueness import UniqueUse
from ironforge.steps.journal import HEAD, EntryKind
from ironforge.store import Submission
from tests.store.kit import HOUR_MS, Cluster, completed, dead, ids_in, job, job_in, now_ms
from tests.store.steps.waiting import entry_of, hour_from_now, kept, over, parked, waiting


def unique_job() -> Job:
    return job(unique=UniqueUse("key"))


async def send(cluster: Cluster, name: str = "paid", body: bytes = b"7", keep_ms: int = HOUR_MS) -> bool:
    return await cluster.store_client.events.send(name, body, keep_ms)


async def test_a_job_that_sleeps_is_out_of_its_stream_and_keeps_its_record(cluster: Cluster) -> None:
    until = hour_from_now()
    _, one = await parked(cluster, "sleep", until_ms=until)
    assert cluster.entries() == {}
    assert cluster.raw.hget(cluster.keys.index, one.id) == b"w:default:2"
    record = decode(cluster.raw.hget(cluster.keys.parked, one.id))
    assert (record.fence, record.journal, record.attempt) == (1, True, 0)
    assert cluster.raw.zscore(cluster.keys.waiting("sleep"), one.id) == until


async def test_a_sleep_ends_by_its_time_and_its_entry_says_so(cluster: Cluster) -> None:
    node, one = await parked(cluster, "sleep", until_ms=hour_from_now())
    assert (await node.work.promote()).moved == 0
    assert await node.work.fetch(1) == []
    over(cluster, one, "sleep")
    due = await node.work.promote()
    assert due.moved == 1
    assert len(due.lateness_ms) == 1
    (delivery,) = await node.work.fetch(1)
    assert job_in(delivery).id == one.id
    entry = entry_of(cluster, one)
    assert (entry.kind, entry.result, entry.fence) == (EntryKind.WAITED, b"null", 0)
    assert abs(entry.ended_ms - now_ms()) < 60_000
    assert cluster.raw.hget(cluster.keys.steps(one.id.hex()), HEAD) == b"0"
    await node.work.settle([completed(kept(delivery))])


async def test_the_next_look_is_when_the_first_sleep_ends(cluster: Cluster) -> None:
    node, _ = await parked(cluster, "sleep", until_ms=hour_from_now())
    next_ms = (await node.work.promote()).next_ms
    assert next_ms is not None
    assert 3_500_000 < next_ms <= 3_600_000


async def test_an_event_wakes_all_that_wait_for_it_with_its_body(cluster: Cluster) -> None:
    node = await cluster.node()
    jobs = [job() for _ in range(3)]
    await cluster.submit(*jobs)
    await node.work.park_waiting([waiting(one, "event", "paid") for one in await node.work.fetch(3)])
    assert await send(cluster)
    due = await node.work.promote()
    assert (due.moved, due.lateness_ms) == (3, [])
    deliveries = await node.work.fetch(3)
    assert sorted(ids_in(deliveries)) == sorted(one.id for one in jobs)
    assert {entry_of(cluster, one).result for one in jobs} == {b"7"}
    assert 0 < cluster.raw.pttl(cluster.keys.event("paid")) <= HOUR_MS
    await node.work.settle([completed(kept(one)) for one in deliveries])


async def test_the_first_event_of_a_name_counts(cluster: Cluster) -> None:
    assert await send(cluster, body=b"1")
    assert not await send(cluster, body=b"2")
    event = await cluster.store_client.events.get("paid")
    assert event is not None
    assert event.payload == b"1"
    assert abs(event.until_ms - now_ms() - HOUR_MS) < 60_000
    assert await cluster.store_client.events.get("other") is None


async def test_an_event_that_is_there_already_lets_a_job_go_on_at_once(cluster: Cluster) -> None:
    await send(cluster)
    node, one = await parked(cluster, "event", "paid")
    assert (await node.work.promote()).moved == 1
    assert entry_of(cluster, one).result == b"7"
    await node.work.settle([completed(kept((await node.work.fetch(1))[0]))])


async def test_an_event_that_was_there_when_a_job_began_to_wait_is_not_lost_when_it_expires(cluster: Cluster) -> None:
    await send(cluster)
    node, one = await parked(cluster, "event", "paid")
    assert cluster.raw.pttl(cluster.keys.event("paid")) == -1
    assert (await node.work.promote()).moved == 1
    assert entry_of(cluster, one).result == b"7"
    assert 0 < cluster.raw.pttl(cluster.keys.event("paid")) <= HOUR_MS
    await node.work.settle([completed(kept((await node.work.fetch(1))[0]))])


async def test_an_event_that_expires_before_anybody_looks_wakes_its_waiters_all_the_same(cluster: Cluster) -> None:
    node, one = await parked(cluster, "event", "paid")
    await send(cluster, keep_ms=1)
    assert cluster.raw.pttl(cluster.keys.event("paid")) == -1
    assert (await node.work.promote()).moved == 1
    assert entry_of(cluster, one).result == b"7"
    assert not cluster.raw.exists(cluster.keys.event("paid"))
    await node.work.settle([completed(kept((await node.work.fetch(1))[0]))])


async def test_a_wait_for_an_event_ends_by_its_time_without_a_result(cluster: Cluster) -> None:
    node, one = await parked(cluster, "event", "paid", hour_from_now())
    over(cluster, one, "event")
    assert (await node.work.promote()).moved == 1
    assert entry_of(cluster, one).timed_out
    assert not cluster.raw.exists(cluster.keys.event_waiters("paid"))
    await node.work.settle([completed(kept((await node.work.fetch(1))[0]))])


async def test_an_event_that_came_before_the_time_was_looked_at_counts(cluster: Cluster) -> None:
    node, one = await parked(cluster, "event", "paid", hour_from_now())
    over(cluster, one, "event")
    await send(cluster)
    assert (await node.work.promote()).moved == 1
    assert entry_of(cluster, one).result == b"7"
    await node.work.promote()
    await node.work.settle([completed(kept((await node.work.fetch(1))[0]))])


async def test_more_waiters_than_one_call_moves_all_go_on(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(*[job() for _ in range(1_100)])
    await node.work.park_waiting([waiting(one, "event", "paid") for one in await node.work.fetch(1_100)])
    await send(cluster)
    assert (await node.work.promote()).moved == 1_100
    assert cluster.raw.exists(cluster.keys.wake) == 0
    await node.work.settle([completed(kept(one)) for one in await node.work.fetch(1_100)])


async def test_to_wait_twice_is_the_same_as_once(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(job())
    (delivery,) = await node.work.fetch(1)
    wait = waiting(delivery, "event", "paid", hour_from_now())
    await node.work.park_waiting([wait])
    before = cluster.snapshot()
    await node.work.park_waiting([wait])
    assert cluster.snapshot() == before


async def test_a_wait_that_had_begun_keeps_its_time(cluster: Cluster) -> None:
    node, one = await parked(cluster, "sleep", until_ms=1)
    first = entry_of(cluster, one)
    await node.work.promote()
    cluster.raw.hset(cluster.keys.steps(one.id.hex()), "pause", b"\x95\x01\xc4\x00\x05\x06\x00")
    (delivery,) = await node.work.fetch(1)
    await node.work.park_waiting([waiting(delivery, "sleep", until_ms=hour_from_now())])
    assert (first.kind, entry_of(cluster, one).ended_ms) == (EntryKind.WAIT, 6)


@pytest.mark.parametrize("what", ["sleep", "event", "children"])
async def test_a_waiting_job_can_be_cancelled(cluster: Cluster, what: str) -> None:
    _, one = await parked(cluster, what, "paid" if what == "event" else "")  # type: ignore[arg-type]
    assert await cluster.store_client.producer.cancel(one.id) is JobState.CANCELLED
    assert await cluster.state(one) is JobState.CANCELLED
    assert not cluster.raw.exists(cluster.keys.waiting(what), cluster.keys.event_waiters("paid"))
    assert 3_600 < cluster.raw.ttl(cluster.keys.steps(one.id.hex())) <= 3_660
    cluster.raw.delete(cluster.keys.wake)


async def test_nothing_of_a_journal_stays_when_nothing_is_kept_of_a_cancelled_job(cluster: Cluster) -> None:
    _, one = await parked(cluster, "sleep", until_ms=hour_from_now(), retain_ms=0)
    await cluster.store_client.producer.cancel(one.id)
    assert not cluster.raw.exists(cluster.keys.steps(one.id.hex()))


async def test_what_was_asked_to_stop_does_not_begin_to_wait(cluster: Cluster) -> None:
    node = await cluster.node()
    one = job()
    await cluster.submit(one)
    (delivery,) = await node.work.fetch(1)
    assert await cluster.store_client.producer.cancel(one.id) is JobState.RUNNING
    await node.work.park_waiting([waiting(delivery, "event", "paid")])
    assert await cluster.state(one) is JobState.CANCELLED


async def test_a_dead_job_keeps_its_journal_until_it_is_dropped(cluster: Cluster) -> None:
    cluster.with_settings(dead_retention_seconds=3_600.0)
    node, one = await parked(cluster, "sleep", until_ms=1)
    await node.work.promote()
    (delivery,) = await node.work.fetch(1)
    await node.work.bury([dead(kept(delivery))])
    await node.work.expire()
    assert cluster.raw.ttl(cluster.keys.steps(one.id.hex())) == -1
    cluster.raw.zadd(cluster.keys.dead, {one.id: 1})
    await node.work.expire()
    assert not cluster.raw.exists(cluster.keys.steps(one.id.hex()))


async def test_a_queue_with_a_job_that_waits_is_not_forgotten(cluster: Cluster) -> None:
    cluster.with_settings(queues=("rare",))
    node, one = await parked(cluster, "event", "paid", queue="rare")
    await node.leases.leave(node.lease)
    cluster.with_settings(queues=("default",))
    other = await cluster.node()
    await other.work.promote()
    await other.work.expire()
    assert b"rare" in cluster.raw.smembers(cluster.keys.queues)
    assert cluster.raw.hget(cluster.keys.delayed, "rare") == b"1"
    await cluster.store_client.producer.cancel(one.id)


async def test_a_job_wakes_into_a_paused_queue_and_starts_when_that_is_resumed(cluster: Cluster) -> None:
    node, _ = await parked(cluster, "sleep", until_ms=1)
    await cluster.store_client.producer.set_paused("default", paused=True)
    assert (await node.work.promote()).moved == 1
    stats = await cluster.store_client.inspector.stats()
    assert sum(depth.queued for depth in stats.streams) == 1


async def test_a_job_that_wakes_has_its_turn_among_those_of_its_fairness_key(cluster: Cluster) -> None:
    node, one = await parked(cluster, "sleep", until_ms=1, fairness_key="a")
    await cluster.submit(*[job() for _ in range(3)])
    others = await node.work.fetch(1)
    assert (await node.work.promote()).moved == 1
    found = [*others, *await node.work.fetch(3)]
    assert one.id in ids_in(found)
    await node.work.settle([completed(kept(each)) for each in found])


async def test_a_job_that_waits_gives_its_place_of_a_limit_to_the_next_one(one: Cluster) -> None:
    node, first = await parked(one, "sleep", until_ms=1, limits=(LimitUse("one", "a"),))
    second = job(limits=(LimitUse("one", "a"),))
    await one.submit(second)
    (delivery,) = await node.work.fetch(2)
    assert job_in(delivery).id == second.id
    assert (await node.work.promote()).moved == 1
    assert await node.work.fetch(2) == []
    await node.work.settle([completed(delivery)])
    (delivery,) = await node.work.fetch(2)
    assert job_in(delivery).id == first.id
    await node.work.settle([completed(kept(delivery))])


async def test_a_job_that_waits_keeps_its_unique_key(cluster: Cluster) -> None:
    node, first = await parked(cluster, "sleep", until_ms=1, unique=UniqueUse("key"))
    (answer,) = await cluster.store_client.producer.submit([Submission(unique_job())])
    assert (answer.id, answer.state, answer.deduplicated) == (first.id, JobState.WAITING, True)
    await node.work.promote()
    await node.work.settle([completed(kept((await node.work.fetch(1))[0]))])


@pytest.mark.parametrize("what", ["sleep", "event"])
async def test_one_that_nothing_would_wake_is_found_and_counted(cluster: Cluster, what: str) -> None:
    node, one = await parked(cluster, what, "paid" if what == "event" else "", hour_from_now())  # type: ignore[arg-type]
    assert await node.work.audit_waits() == 0
    if what == "event":
        await send(cluster)
        assert await node.work.audit_waits() == 0
        cluster.raw.delete(cluster.keys.wake)
    else:
        cluster.raw.hset(cluster.keys.steps(one.id.hex()), HEAD, "0")
    assert await node.work.audit_waits() == 1
    assert (await node.work.promote()).moved == 1
    assert await node.work.audit_waits() == 0
    await node.work.settle([completed(kept((await node.work.fetch(1))[0]))])
    cluster.raw.delete(cluster.keys.event("paid"))


async def test_journals_go_early_with_the_records_of_their_jobs_when_memory_is_short(cluster: Cluster) -> None:
    node, one = await parked(cluster, "sleep", until_ms=1)
    await node.work.promote()
    await node.work.settle([completed(kept((await node.work.fetch(1))[0]))])
    assert cluster.raw.exists(cluster.keys.steps(one.id.hex()))
    cluster.raw.config_set("maxmemory", cluster.raw.info("memory")["used_memory"])
    try:
        await node.work.expire()
    finally:
        cluster.raw.config_set("maxmemory", 0)
    assert not cluster.raw.exists(cluster.keys.steps(one.id.hex()), cluster.keys.bucket_of(one.id, "done"))
