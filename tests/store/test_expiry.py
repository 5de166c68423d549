"""Jobs that expire: those that have not started by their moment are cancelled, wherever they wait."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from ironforge.errors import JobNotFound, QueueFull, StoreError
from ironforge.job.expiry import EXPIRED
from ironforge.job.limits import Limit, LimitUse
from ironforge.job.record import Job, JobState, encode
from ironforge.job.uniqueness import UniqueUse
from ironforge.redis.connection import DoorConnection
from ironforge.redis.location import Location
from ironforge.store import JobFilter, Rewrite, Submission
from ironforge.store.expiry import MOST, ExpirySweep
from ironforge.store.located_jobs import LocatedJobs
from tests.store.expiring import AS_EXPIRED, UNIQUE, expiring, lapsed, look, look_again, moments, submit, sweep
from tests.store.kit import HOUR_MS, Cluster, job, now_ms, settle


async def test_the_moment_is_the_servers_and_in_the_record(cluster: Cluster) -> None:
    one = expiring()
    before = now_ms()
    await submit(cluster, one, expires_in_ms=60_000)
    stored = (await cluster.store_client.inspector.get(one.id)).job
    assert before + 60_000 <= stored.expires_ms <= now_ms() + 60_000
    assert stored == msgspec.structs.replace(one, expires_ms=stored.expires_ms)
    assert cluster.raw.zscore(cluster.keys.expiries, one.id) == stored.expires_ms


FULL: dict[str, Any] = {
    "max_retries": 1_000,
    "timeout_ms": 604_800_000,
    "retain_ms": 70_000,
    "ready_ms": 253_402_300_799_000,
    "fairness_key": "f" * 128,
    "fairness_weight": 100,
    "limits": (LimitUse("one", "a" * 128, 1_000_000_000),),
    "unique": UniqueUse("ü" * 127, "queued", 31_536_000_000, "replace", 5),
}


@pytest.mark.parametrize("size", [0, 255, 256, 70_000])
@pytest.mark.parametrize("fields", [{}, FULL], ids=["bare", "full"])
async def test_nothing_else_of_a_record_changes(cluster: Cluster, fields: dict[str, Any], size: int) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=1))
    one = msgspec.structs.replace(expiring(kind="k" * 128, **fields), payload=b"9" * size)
    await submit(cluster, one, expires_in_ms=HOUR_MS, delay_ms=60_000)
    stored = cluster.raw.hget(cluster.keys.parked, one.id)
    moment = int(cluster.raw.zscore(cluster.keys.expiries, one.id))
    assert stored == encode(msgspec.structs.replace(one, expires_ms=moment))


async def test_of_a_batch_those_expire_that_shall(cluster: Cluster) -> None:
    jobs = [job(), expiring(), expiring()]
    batch = [Submission(one, expires_in_ms=1_000 * n) for n, one in enumerate(jobs)]
    await cluster.store_client.producer.submit(batch)
    found = [(await cluster.store_client.inspector.get(one.id)).job.expires_ms for one in jobs]
    assert [bool(moment) for moment in found] == [False, True, True]
    assert moments(cluster) == [jobs[1].id, jobs[2].id]


async def test_jobs_that_do_not_expire_leave_nothing(cluster: Cluster) -> None:
    node = await cluster.node()
    await cluster.submit(job(), job(fairness_key="f"))
    await settle(node, await node.work.fetch(2))
    assert not cluster.raw.exists(cluster.keys.expiries)


async def a_queued(cluster: Cluster, one: Job) -> None:
    await submit(cluster, one)


async def a_scheduled(cluster: Cluster, one: Job) -> None:
    await submit(cluster, one, delay_ms=HOUR_MS)


async def one_that_waits_for_its_turn(cluster: Cluster, one: Job) -> None:
    await cluster.submit(job())
    await submit(cluster, msgspec.structs.replace(one, fairness_key="f"))


async def one_behind_a_limit(cluster: Cluster, one: Job) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=1))
    limited = (LimitUse("one", "a"),)
    node = await cluster.node()
    await cluster.submit(job(limits=limited))
    await node.work.fetch(1)
    await submit(cluster, msgspec.structs.replace(one, limits=limited))


async def one_that_was_declined(cluster: Cluster, one: Job) -> None:
    old = await cluster.node([])
    await submit(cluster, one)
    stream, entry, record = (await old.work.fetch(1))[0]
    await old.work.decline([Rewrite(stream, entry, one.id, record)])


PLACES = {
    "q": a_queued,
    "s": a_scheduled,
    "f": one_that_waits_for_its_turn,
    "l": one_behind_a_limit,
    "k": one_that_was_declined,
}


@pytest.mark.parametrize("place", PLACES)
async def test_wherever_it_waits_it_is_cancelled_and_nothing_of_it_is_left(cluster: Cluster, place: str) -> None:
    one = expiring(unique=UNIQUE)
    await PLACES[place](cluster, one)
    assert cluster.raw.hget(cluster.keys.index, one.id)[:1].decode() == place
    await lapsed(cluster, one)
    assert await look(cluster, one) == AS_EXPIRED  # nothing has swept yet
    await sweep(cluster)
    assert await look(cluster, one) == AS_EXPIRED
    assert cluster.raw.hget(cluster.keys.index, one.id) is None
    assert cluster.raw.hget(cluster.keys.parked, one.id) is None
    assert not cluster.raw.exists(cluster.keys.unique("k:a"))
    assert [cluster.totals()[name] for name in ("cancelled", "expired")] == [1, 1]
    await sweep(cluster)
    assert moments(cluster) == []


async def test_its_place_in_a_full_queue_and_behind_a_limit_is_free(cluster: Cluster) -> None:
    cluster.with_settings(max_queue_length=1)
    await cluster.store_client.limits.put("one", Limit(concurrency=1))
    one = expiring(limits=(LimitUse("one", "a"),))
    await submit(cluster, one)
    with pytest.raises(QueueFull):
        await cluster.submit(job())
    await lapsed(cluster, one)
    await sweep(cluster)
    await cluster.submit(job(limits=(LimitUse("one", "a"),)))
    assert (await cluster.store_client.limits.key("one", "a")).waiting == 1


async def test_lists_say_the_same_as_a_look_at_the_job(cluster: Cluster) -> None:
    one, other = expiring(), expiring()
    await submit(cluster, one)
    await submit(cluster, other, delay_ms=HOUR_MS)
    await lapsed(cluster, one, other)
    page = await cluster.store_client.inspector.jobs()
    assert {(view.job.id, view.state, view.job.reason) for view in page.jobs} == {
        (one.id, *AS_EXPIRED),
        (other.id, *AS_EXPIRED),
    }
    assert (await cluster.store_client.inspector.jobs(JobFilter(JobState.QUEUED))).jobs == []


async def test_its_retention_is_its_own(cluster: Cluster) -> None:
    one = expiring(retain_ms=0)
    await submit(cluster, one)
    await lapsed(cluster, one)
    await sweep(cluster)
    with pytest.raises(JobNotFound):
        await cluster.store_client.inspector.get(one.id)


@pytest.mark.parametrize("how", ["replace", "debounce"])
async def test_what_takes_the_place_of_a_job_brings_its_own_moment(cluster: Cluster, how: Any) -> None:
    use = UniqueUse("a", "queued", on_conflict=how)
    first, second, third = (expiring(unique=use) for _ in range(3))
    await submit(cluster, first, delay_ms=HOUR_MS, expires_in_ms=HOUR_MS)
    await submit(cluster, second, delay_ms=HOUR_MS, expires_in_ms=2 * HOUR_MS)
    assert cluster.raw.zscore(cluster.keys.expiries, first.id) > now_ms() + HOUR_MS
    await cluster.store_client.producer.submit([Submission(third, delay_ms=HOUR_MS)])
    look_again(cluster, first)
    await sweep(cluster)
    assert (await look(cluster, first))[0] is JobState.SCHEDULED
    assert moments(cluster) == []


async def test_a_repeated_submission_keeps_the_first_moment(cluster: Cluster) -> None:
    one = expiring()
    await submit(cluster, one, expires_in_ms=60_000, idempotency_key="k", fingerprint=b"f")
    first = cluster.raw.zscore(cluster.keys.expiries, one.id)
    other = expiring()
    [answer] = await submit(cluster, other, expires_in_ms=HOUR_MS, idempotency_key="k", fingerprint=b"f")
    [again] = await submit(cluster, one, expires_in_ms=HOUR_MS, again=True)
    assert [answer.id, answer.replayed, again.id, again.replayed] == [one.id, True, one.id, True]
    assert cluster.raw.zrange(cluster.keys.expiries, 0, -1, withscores=True) == [(one.id, first)]


async def test_many_are_cancelled_some_at_a_time_each_once_by_whoever_looks(cluster: Cluster) -> None:
    jobs = [expiring() for _ in range(2 * MOST + 50)]
    await submit(cluster, *jobs)
    await lapsed(cluster, *jobs)
    async with (
        DoorConnection(cluster.url, cluster.keys.prefix) as first,
        DoorConnection(cluster.url, cluster.keys.prefix) as second,
    ):
        sweeps = [ExpirySweep(cluster.settings, cluster.keys, link) for link in (first, second)]
        assert await asyncio.gather(*(each.sweep() for each in sweeps)) == [True, True]
        assert cluster.totals()["expired"] == 2 * MOST
        assert await sweeps[0].sweep() is False
    assert cluster.totals()["expired"] == len(jobs)
    assert cluster.raw.hlen(cluster.keys.index) == 0


async def test_a_node_does_it_as_well_at_most_once_a_second(cluster: Cluster) -> None:
    node, one, other = await cluster.node(), expiring(), expiring()
    await submit(cluster, one)
    await lapsed(cluster, one)
    await node.work.promote()
    assert cluster.totals()["expired"] == 1
    await submit(cluster, other)
    await lapsed(cluster, other)
    await node.work.promote()
    assert cluster.raw.hexists(cluster.keys.index, other.id)


async def test_a_record_that_cannot_be_read_here_stays_and_is_looked_at_again(cluster: Cluster) -> None:
    one = expiring()
    await submit(cluster, one, delay_ms=HOUR_MS)
    record = cluster.raw.hget(cluster.keys.parked, one.id)
    cluster.raw.hset(cluster.keys.parked, one.id, encode(msgspec.structs.replace(one, version=99)))
    look_again(cluster, one)
    await sweep(cluster)
    assert cluster.raw.zscore(cluster.keys.expiries, one.id) > now_ms()
    assert cluster.raw.hexists(cluster.keys.index, one.id)
    cluster.raw.hset(cluster.keys.parked, one.id, record)


async def test_one_that_has_moved_since_it_was_seen_is_left_alone(cluster: Cluster) -> None:
    node, one = await cluster.node(), expiring()
    await submit(cluster, one, delay_ms=HOUR_MS, expires_in_ms=2 * HOUR_MS)
    seen = Location(cluster.raw.hget(cluster.keys.index, one.id)), one.id, cluster.raw.hget(cluster.keys.parked, one.id)
    cluster.ripen()
    await node.work.promote()
    async with DoorConnection(cluster.url, cluster.keys.prefix) as link:
        located = LocatedJobs(cluster.settings, cluster.keys, link)
        assert await located.cancel_at(*seen, EXPIRED) is None
    assert cluster.raw.hget(cluster.keys.index, one.id).startswith(b"q:")


async def test_a_key_of_the_wrong_type_concerns_those_that_expire_alone(cluster: Cluster) -> None:
    node = await cluster.node()
    cluster.raw.set(cluster.keys.expiries, "stray")
    before = cluster.snapshot()
    with pytest.raises(StoreError):
        await submit(cluster, expiring())
    assert cluster.snapshot() == before
    with pytest.raises(StoreError):
        await sweep(cluster)
    await cluster.submit(job(), delay_ms=HOUR_MS)
    cluster.ripen()
    assert (await node.work.promote()).moved == 1
    cluster.raw.delete(cluster.keys.expiries)
