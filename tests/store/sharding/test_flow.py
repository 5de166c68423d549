"""What waits outside the streams of several shards: looked after, taken, counted and ended in each of them."""

from __future__ import annotations

import pytest

from ironforge.errors import Duplicate
from ironforge.job.limits import Limit, LimitUse, Override
from ironforge.job.record import Job, JobState
from ironforge.redis.shards import shards_of
from ironforge.store import Adjustment, JobFilter
from tests.store.declining import declined, knowing
from tests.store.expiring import AS_EXPIRED, expiring, submit
from tests.store.kit import HOUR_MS, Cluster, job_in, now_ms, settle
from tests.store.sharding.kit import SHARDS, fetched, limited, text_in, unique
from tests.support.waiting import until

KEYS = [text_in(shard) for shard in range(SHARDS)]


def one_of_each() -> list[Job]:
    return [limited(key) for key in KEYS]


async def submit_each(cluster: Cluster, *jobs: Job) -> None:
    """One by one: keys of different text go together in no batch."""
    for each in jobs:
        await cluster.submit(each)


async def test_each_key_says_how_it_stands_and_what_it_holds_up(with_limits: Cluster) -> None:
    node = await with_limits.node()
    first, second = one_of_each(), one_of_each()
    await submit_each(with_limits, *first)
    await fetched(node, SHARDS)
    await submit_each(with_limits, *second)
    limits, inspector = with_limits.store_client.limits, with_limits.store_client.inspector
    for key, holder in zip(KEYS, first, strict=True):
        stands = await limits.key("one", key)
        assert (stands.running, stands.waiting, stands.remaining) == (1, 1, 0)
        assert [job_id for job_id, _ in stands.holders] == [lies_there(with_limits, holder)]
    listed = (await inspector.jobs(JobFilter(JobState.QUEUED))).jobs
    assert [view.waiting_for and view.waiting_for.code for view in listed] == ["limit"] * SHARDS
    depth = next(depth for depth in (await inspector.stats()).streams if depth.queued)
    assert (depth.queued, depth.running, depth.limited) == (SHARDS, SHARDS, SHARDS)


def lies_there(cluster: Cluster, one: Job) -> bytes:
    """The id that it got: that of the shard of its key, and all but the last byte as it was."""
    found = [job_id for keys in shards_of(cluster.settings) for job_id in cluster.raw.hkeys(keys.index)]
    return next(job_id for job_id in found if job_id[:-1] == one.id[:-1])


async def test_what_an_operator_says_holds_and_ends_in_each_shard(with_limits: Cluster) -> None:
    await with_limits.store_client.limits.put("one", Limit(concurrency=2))
    node = await with_limits.node()
    await submit_each(with_limits, *one_of_each(), *one_of_each())
    await with_limits.store_client.limits.override("one", Override(concurrency=1, until_ms=now_ms() + HOUR_MS))
    held = await fetched(node, SHARDS)
    assert len(held) == SHARDS
    await with_limits.store_client.limits.override("one", Override(concurrency=1, until_ms=now_ms() + 50))

    async def all_run() -> bool:
        held.extend(await node.work.wait(10, 1.0))
        return len(held) == 2 * SHARDS

    await until(all_run, "the override to end in each shard")


async def test_a_key_that_is_stopped_goes_on_when_an_operator_says_so(with_limits: Cluster) -> None:
    node = await with_limits.node()
    claims = [f"one\n{key}" for key in KEYS]
    stops = [Adjustment(f"{shard}/default:2", claim, throttled_ms=HOUR_MS) for shard, claim in enumerate(claims)]
    await node.work.adjust(stops)
    await submit_each(with_limits, *one_of_each())
    assert await node.work.fetch(10) == []
    for key in KEYS:
        assert (await with_limits.store_client.limits.key("one", key)).stopped_ms is not None
        await with_limits.store_client.limits.resume("one", key)
    assert {job_in(delivery).limits[0].key for delivery in await fetched(node, SHARDS)} == {*KEYS}


async def test_a_place_without_a_job_is_found_and_mended_in_each_shard(with_limits: Cluster) -> None:
    node = await with_limits.node()
    for keys, key in zip(shards_of(with_limits.settings), KEYS, strict=True):
        with_limits.raw.zadd(keys.holders(f"one\n{key}"), {b"of no job, alas!": now_ms()})
        with_limits.raw.hset(keys.in_use, f"one\n{key}", "")
    await submit_each(with_limits, *one_of_each())
    assert await node.work.fetch(10) == []
    assert await node.work.audit_limits() == SHARDS
    assert len(await fetched(node, SHARDS)) == SHARDS


async def test_declined_jobs_wait_in_their_shard_and_are_taken_there(with_limits: Cluster) -> None:
    jobs = [limited(key, kind="new") for key in KEYS]
    old = await with_limits.node([])
    await submit_each(with_limits, *jobs)
    await old.work.decline([declined(each) for each in await fetched(old, SHARDS)])
    counted = [with_limits.raw.zcard(keys.declined("default:2")) for keys in shards_of(with_limits.settings)]
    assert counted == [1] * SHARDS
    depth = next(depth for depth in (await with_limits.store_client.inspector.stats()).streams if depth.queued)
    assert (depth.queued, depth.declined, depth.limited) == (SHARDS, SHARDS, 0)

    new = await knowing(with_limits, "new")
    taken = await fetched(new, SHARDS)
    assert {job_in(delivery).limits[0].key for delivery in taken} == {*KEYS}
    assert {stream.partition("/")[0] for stream, _, _ in taken} == {"0", "1", "2"}
    await settle(new, taken)
    assert (await with_limits.store_client.inspector.totals()).totals["completed"] == SHARDS


async def test_declined_jobs_that_no_node_serves_are_buried_in_each_shard(sharded: Cluster) -> None:
    sharded.with_settings(unserved_seconds=0.01)
    node = await sharded.node([])
    await submit_each(sharded, *(unique(key) for key in KEYS))
    await node.work.decline([declined(each) for each in await fetched(node, SHARDS)])
    buried: list[tuple[str, Job]] = []

    async def all_buried() -> bool:
        buried.extend(await node.work.bury_unserved())
        return len(buried) == SHARDS

    await until(all_buried, "the lines to be unserved for long enough")
    assert {stream.partition("/")[0] for stream, _ in buried} == {"0", "1", "2"}
    stats = await sharded.store_client.inspector.stats()
    assert (stats.dead, sum(depth.declined for depth in stats.streams)) == (SHARDS, 0)
    await submit_each(sharded, *(unique(key, "reject") for key in KEYS))  # the dead hold no keys


async def test_a_unique_key_is_free_when_its_job_has_ended_in_whatever_shard(sharded: Cluster) -> None:
    node = await sharded.node()
    await submit_each(sharded, *(unique(key, "reject") for key in KEYS))
    for key in KEYS:
        with pytest.raises(Duplicate):
            await sharded.submit(unique(key, "reject"))
    await settle(node, await fetched(node, SHARDS))
    await submit_each(sharded, *(unique(key, "reject") for key in KEYS))


async def test_a_node_cancels_what_expires_in_each_shard(with_limits: Cluster) -> None:
    node = await with_limits.node()
    await submit_each(with_limits, *one_of_each())
    await fetched(node, SHARDS)
    answers = [await submit(with_limits, expiring(limits=(LimitUse("one", key),))) for key in KEYS]
    inspector = with_limits.store_client.inspector

    async def all_counted() -> bool:
        await node.work.promote()
        return (await inspector.totals()).totals["expired"] == SHARDS

    await until(all_counted, "those that have expired to be cancelled")
    for (answer,) in answers:
        view = await inspector.get(answer.id)
        assert (view.state, view.job.reason) == AS_EXPIRED
    for key in KEYS:
        assert (await with_limits.store_client.limits.key("one", key)).waiting == 0
