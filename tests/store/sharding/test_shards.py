"""Several shards behind one contract, here on one server: where jobs go, and what is told of all of them together."""

from __future__ import annotations

import asyncio

import pytest
from redis.crc import key_slot

from ironforge import Forge
from ironforge.doctor import examine
from ironforge.errors import ConfigError, InvalidJob, JobNotFound, LeaseLost
from ironforge.job.record import JobState, format_id, new_id, parse_id, shard_of, tail_of
from ironforge.redis.keys import Keys
from ironforge.redis.shards import shards_of
from ironforge.store import Submission
from ironforge.store.server_checks import check_shards
from tests.store.expiring import expiring
from tests.store.kit import Cluster, completed, dead, job, job_in
from tests.store.sharding.kit import SHARDS, fetched, lengths
from tests.support.waiting import PATIENCE_SECONDS, until


async def test_single_jobs_spread_and_a_batch_stays_together(sharded: Cluster) -> None:
    async with Forge(sharded.settings) as forge:
        for _ in range(60):
            await forge.submit("k")
        assert min(lengths(sharded)) > 0
        before = lengths(sharded)
        ids = await forge.submit_many("k", range(50))
    grown = [after - was for after, was in zip(lengths(sharded), before, strict=True)]
    assert sorted(grown) == [0, 0, 50]
    assert {shard_of(parse_id(job_id), SHARDS) for job_id in ids} == {grown.index(50)}


async def test_a_repeated_key_finds_its_first_job_wherever_that_is(sharded: Cluster) -> None:
    async with Forge(sharded.settings) as forge:
        for number in range(20):
            key = f"order-{number}"
            first = await forge.submit("k", idempotency_key=key)
            assert await forge.submit("k", idempotency_key=key) == first
            assert tail_of(key) % SHARDS == shard_of(parse_id(first), SHARDS)
    assert sum(lengths(sharded)) == 20


async def test_ids_of_one_key_that_lead_to_different_shards_are_refused_and_nothing_is_stored(
    sharded: Cluster,
) -> None:
    with pytest.raises(InvalidJob, match="the jobs of one idempotency key have ids of one's own"):
        await sharded.submit(job(id=new_id(0)), job(id=new_id(1)), idempotency_key="key")
    assert lengths(sharded) == [0] * SHARDS


async def test_ids_of_ones_own_may_lie_anywhere_and_are_answered_in_order(sharded: Cluster) -> None:
    jobs = [job(id=new_id(tail)) for tail in range(10)]
    answers = await sharded.store_client.producer.submit([Submission(one) for one in jobs])
    assert [answer.id for answer in answers] == [one.id for one in jobs]
    assert lengths(sharded) == [4, 3, 3]


async def test_a_node_gets_jobs_of_every_shard_and_settles_each_where_it_came_from(sharded: Cluster) -> None:
    node = await sharded.node()
    jobs = [job(id=new_id(tail)) for tail in range(12)]
    await sharded.submit(*jobs)
    first = await fetched(node, 2, want=2)
    rest = await fetched(node, 10)

    assert {job_in(one).id for one in first + rest} == {one.id for one in jobs}
    await node.work.settle([completed(one) for one in first + rest[:-1]])
    await node.work.bury([dead(rest[-1])])
    states = [await sharded.state(one) for one in jobs]
    assert [states.count(JobState.COMPLETED), states.count(JobState.DEAD)] == [11, 1]
    assert sorted(lengths(sharded)) == [0, 0, 1]


@pytest.mark.parametrize("shard", range(SHARDS))
async def test_a_node_that_waits_is_woken_by_any_shard_and_waits_for_no_other(sharded: Cluster, shard: int) -> None:
    node = await sharded.node()
    waiting = asyncio.create_task(node.work.wait(8, 60.0))
    one = job(id=new_id(shard))
    await sharded.submit(one)
    async with asyncio.timeout(PATIENCE_SECONDS):
        (delivery,) = await waiting
        assert job_in(delivery).id == one.id
        assert await node.work.fetch(8) == []
    await node.work.settle([completed(delivery)])


async def test_a_read_that_is_cancelled_loses_no_job(sharded: Cluster) -> None:
    node = await sharded.node()
    waiting = asyncio.create_task(node.work.wait(8, 60.0))
    await asyncio.sleep(0)
    jobs = [job(id=new_id(tail)) for tail in range(6)]
    await sharded.submit(*jobs)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    found = set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(found) < len(jobs):
            found |= {job_in(one).id for one in await node.work.fetch(8)}
    assert found == {one.id for one in jobs}


@pytest.mark.parametrize("seen_dead", [False, True])
async def test_a_take_over_in_all_shards_gives_the_jobs_to_the_heir(sharded: Cluster, seen_dead: bool) -> None:
    sharded.with_settings(lease_seconds=600.0)
    gone, heir = await sharded.node(), await sharded.node()
    await sharded.submit(*(job(id=new_id(tail)) for tail in range(6)))
    lost = await fetched(gone, 6, want=6)
    if not seen_dead:
        for keys in shards_of(sharded.settings):
            sharded.raw.zadd(keys.nodes, {gone.lease.node: 1})

    assert await heir.leases.take_over(heir.lease, gone.lease.node, seen_dead=seen_dead) == 6
    assert len(await fetched(heir, 6)) == 6
    with pytest.raises(LeaseLost):
        await gone.work.settle([completed(one) for one in lost])


async def test_a_node_that_is_fenced_in_one_shard_has_lost_its_lease(sharded: Cluster) -> None:
    node = await sharded.node()
    sharded.raw.incr(shards_of(sharded.settings)[2].fence(node.lease.node))
    with pytest.raises(LeaseLost):
        node.leases.beat(node.lease)


async def test_who_looks_dead_is_left_alone_until_a_lease_has_been_watched(sharded: Cluster) -> None:
    sharded.with_settings(lease_seconds=1.0)
    node, other = await sharded.node(), await sharded.node()
    for keys in shards_of(sharded.settings):
        sharded.raw.zadd(keys.nodes, {other.lease.node: 1})
    assert node.leases.beat(node.lease) == []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (expired := node.leases.beat(node.lease)):
            await asyncio.sleep(0.2)
    assert expired == [other.lease.node]


async def test_pages_go_through_all_shards_and_show_every_job_once(sharded: Cluster) -> None:
    jobs = [job(id=new_id(tail)) for tail in range(20)]
    await sharded.submit(*jobs)
    found, cursor = [], None
    while True:
        page = await sharded.store_client.inspector.jobs(limit=3, cursor=cursor)
        assert len(page.jobs) <= 3
        found += [view.job.id for view in page.jobs]
        cursor = page.cursor
        if cursor is None:
            break
    assert sorted(found) == sorted(one.id for one in jobs)


@pytest.mark.parametrize("cursor", ["", "1", "3.", "x.", "0.nonsense", "٣.", "9" * 5_000 + "."])
async def test_a_cursor_of_somebody_elses_is_refused(sharded: Cluster, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor was not given out"):
        await sharded.store_client.inspector.jobs(cursor=cursor)


async def test_counts_nodes_and_health_are_told_of_all_shards_together(sharded: Cluster) -> None:
    node = await sharded.node()
    await sharded.submit(*(job(id=new_id(tail)) for tail in range(9)))
    held = await fetched(node, 6, want=6)
    await node.work.settle([completed(one) for one in held[:2]])
    stats = await sharded.store_client.inspector.stats()
    (view,) = await sharded.store_client.inspector.nodes()

    assert stats.totals["submitted"] == 9
    assert stats.totals["completed"] == 2
    assert sum(one.queued for one in stats.streams) == 3
    assert sum(one.running for one in stats.streams) == 4
    assert view.name == node.lease.node
    assert view.running == 4
    health = await sharded.store_client.inspector.health()
    assert health.durability == "none"
    assert all(not problem.startswith("shard ") for problem in health.problems)


async def test_a_job_is_looked_for_and_changed_in_the_shard_of_its_id(sharded: Cluster) -> None:
    node = await sharded.node()
    jobs = [job(id=new_id(tail)) for tail in range(3)]
    await sharded.submit(*jobs)
    for one in jobs[:2]:
        assert await sharded.store_client.producer.cancel(one.id) is JobState.CANCELLED
    (delivery,) = await fetched(node, 1)
    await node.work.bury([dead(delivery)])
    revived = await sharded.store_client.producer.retry(jobs[2].id, reset_retry_count=True)
    assert revived.id == jobs[2].id
    with pytest.raises(JobNotFound, match=format_id(bytes(16))):
        await sharded.store_client.inspector.get(bytes(16))


async def test_a_namespace_keeps_its_number_of_shards(cluster: Cluster) -> None:
    cluster.with_settings(shards=2)
    await check_shards(cluster.settings)
    await check_shards(cluster.settings)
    for other in (1, 3):
        cluster.with_settings(shards=other)
        with pytest.raises(ConfigError, match=f"IRONFORGE_SHARDS={other}, but .* was begun with 2: set it to 2"):
            await check_shards(cluster.settings)


async def test_a_namespace_that_was_used_without_shards_is_not_spread_later(cluster: Cluster) -> None:
    await cluster.submit(job())
    cluster.with_settings(shards=4)
    with pytest.raises(ConfigError, match="was begun with 1"):
        await check_shards(cluster.settings)
    cluster.with_settings(shards=1)
    await check_shards(cluster.settings)


async def test_doctor_looks_into_every_shard_and_says_which_one_it_means(sharded: Cluster) -> None:
    broken = shards_of(sharded.settings)[1]
    await sharded.submit(job(id=new_id(1)))
    sharded.raw.delete(broken.stream("default:2"))
    findings = await examine(sharded.settings)
    sharded.checked = False

    failed = [finding.message for finding in findings if finding.level == "fail" and finding.check == "data"]
    assert failed
    assert all(message.startswith("shard 1: ") for message in failed)
    assert sum(finding.check == "clock" for finding in findings) == SHARDS


async def test_doctor_says_that_other_processes_spread_the_namespace_otherwise(sharded: Cluster) -> None:
    findings = await examine(sharded.with_settings(shards=2))
    assert any("was begun with 3: set it to 3" in finding.message for finding in findings if finding.level == "fail")


@pytest.mark.parametrize("shards", [2, 3, 5, 16])
@pytest.mark.parametrize("namespace", ["default", "team-a", "a.0"])
def test_shards_lie_evenly_in_all_slots(namespace: str, shards: int) -> None:
    parts = [key_slot(Keys(namespace, shard, shards).index.encode()) * shards // 16_384 for shard in range(shards)]
    assert parts == [*range(shards)]


def test_no_two_namespaces_share_a_key() -> None:
    names = ["a", "a.0", "a.0.0", "a.1"]
    prefixes = [Keys(name, shard, shards).prefix for name in names for shards in (1, 4, 9) for shard in range(shards)]
    owners = {prefix: prefix.removeprefix("if:{").partition("}")[0].rpartition(".")[0] for prefix in prefixes}
    assert set(owners.values()) == set(names)


async def test_each_shard_is_fair_for_itself_and_nothing_is_left_waiting(sharded: Cluster) -> None:
    node = await sharded.node()
    async with Forge(sharded.settings) as forge:
        for _ in range(60):
            await forge.submit("k", fairness_key="many")
        for _ in range(6):
            await forge.submit("k", fairness_key="few")
        waiting = (await sharded.store_client.inspector.stats()).streams
        assert sum(depth.queued for depth in waiting) == 66
        order: list[str] = []
        while len(order) < 66:
            deliveries = await node.work.fetch(6)
            await node.work.settle([completed(delivery) for delivery in deliveries])
            order += [job_in(delivery).fairness_key for delivery in deliveries]
    assert order.count("many") == 60
    assert order.count("few") == 6
    assert "few" not in order[42:]


async def test_jobs_expire_in_every_shard_by_doors_and_by_nodes(sharded: Cluster) -> None:
    door, node = [expiring(id=new_id(tail)) for tail in range(SHARDS)], await sharded.node()
    others = [expiring(id=new_id(tail)) for tail in range(SHARDS)]

    async def cancelled(count: int) -> bool:
        return (await sharded.store_client.inspector.totals()).totals["expired"] == count

    await sharded.store_client.producer.submit([Submission(one, expires_in_ms=1) for one in door])
    async with sharded.store_client.keeping_time():
        await until(lambda: cancelled(SHARDS), "the door to cancel them")
    await sharded.store_client.producer.submit([Submission(one, expires_in_ms=1) for one in others])

    async def promoted() -> bool:
        await node.work.promote()
        return await cancelled(2 * SHARDS)

    await until(promoted, "the node to cancel them")
    assert lengths(sharded) == [0] * SHARDS
