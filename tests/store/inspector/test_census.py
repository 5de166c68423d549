"""Counts: all of one moment, so a job that lives is in one of them whenever one looks; and shared by those who ask."""

from __future__ import annotations

import asyncio
from collections import Counter

import msgspec
import pytest

from ironforge.errors import StoreUnavailable
from ironforge.job.record import Job, JobState
from ironforge.store import Stats
from ironforge.store.inspector.shared_reading import Shared
from ironforge.store.inspector.usage import RedisUsage, Usage
from tests.store.kit import Cluster, Node, dead, job, keyed, retry, rewrite

LOOKS = 10_000


def living(stats: Stats) -> int:
    return stats.scheduled + stats.waiting.total + stats.dead + sum(one.queued + one.running for one in stats.streams)


async def hop(cluster: Cluster, node: Node, one: Job, stop: asyncio.Event) -> None:
    """From place to place, as fast as it goes: schedule, queue, node, back to its queue, dead letter, alive again."""
    moves = 0
    while not stop.is_set():
        [delivery] = await node.work.fetch(1)
        moves += 1
        if moves % 4 == 0:
            await node.work.requeue([rewrite(delivery)])
        elif moves % 4 == 1:
            await node.work.bury([dead(delivery)])
            await cluster.store_client.producer.retry(one.id, reset_retry_count=True)
        else:
            await node.work.park([retry(delivery)])
            await node.work.promote()


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.parametrize("keyed_one", [False, True])
async def test_a_job_that_lives_is_never_uncounted(cluster: Cluster, keyed_one: bool) -> None:
    node = await cluster.node()
    [one] = keyed("key", 1) if keyed_one else [job()]
    await cluster.submit(one)
    usage = RedisUsage(cluster.settings)
    stop = asyncio.Event()
    hopping = asyncio.create_task(hop(cluster, node, one, stop))
    seen: Counter[int] = Counter()
    states: Counter[JobState] = Counter()
    stored: Counter[int] = Counter()
    listed: Counter[int] = Counter()
    for look in range(LOOKS // 2):
        seen[living(await cluster.store_client.inspector.stats())] += 1
        if look % 5 == 0:
            states[await cluster.state(one)] += 1
            stored[(await usage.measure()).stored_jobs] += 1
            listed[len((await cluster.store_client.inspector.jobs()).jobs)] += 1
    stop.set()
    await hopping
    await usage.close()
    assert seen == {1: LOOKS // 2}
    assert stored == {1: LOOKS // 10}
    assert listed == {1: LOOKS // 10}
    assert {JobState.QUEUED, JobState.RUNNING, JobState.SCHEDULED, JobState.DEAD} >= set(states)


async def test_what_is_measured_is_what_is_there(cluster: Cluster) -> None:
    node = await cluster.node()
    usage = RedisUsage(cluster.settings)
    empty = await usage.measure()
    await cluster.submit(job(), job("unserved"), job(), *keyed("key", 3))
    await cluster.submit(job(), delay_ms=60_000)
    await node.work.bury([dead(delivery) for delivery in await node.work.fetch(1)])
    full = await usage.measure()
    await usage.close()
    assert empty[:2] == (0, 0)
    assert full == Usage(7, 5, full.stored_bytes)
    assert full.stored_bytes > empty.stored_bytes + 1_000


async def test_ages_are_looked_for_within_a_budget(cluster: Cluster) -> None:
    """To see when a job came the server reads its payload: that costs all others, so it has an end."""
    large = b'"' + b"x" * 1_000_000 + b'"'
    jobs = [msgspec.structs.replace(job(f"q{number}"), payload=large) for number in range(9)]
    waiting = [msgspec.structs.replace(one, payload=large) for one in keyed("key", 3, queue="q9")]
    await cluster.submit(*jobs)
    await cluster.submit(*waiting)
    depths = [one for one in (await cluster.store_client.inspector.stats()).streams if one.queued]
    assert sum(one.queued for one in depths) == 12
    assert 0 < sum(one.oldest_ms is not None for one in depths) < 10


async def test_the_age_of_one_that_waits_for_its_turn_counts_from_when_it_was_ready(cluster: Cluster) -> None:
    """Not from its submission, which for a delayed one or a retry is long ago."""
    first, second = keyed("key", 2)
    now_ms = first.created_ms
    waits = msgspec.structs.replace(second, created_ms=now_ms - 3_600_000, ready_ms=now_ms - 5_000)
    await cluster.submit(first, waits)
    [depth] = [one for one in (await cluster.store_client.inspector.stats()).streams if one.queued]
    assert depth.queued == 2
    assert depth.oldest_ms == waits.ready_ms


async def test_names_and_counts_that_somebody_else_put_there_do_not_matter(cluster: Cluster) -> None:
    await cluster.submit(job())
    cluster.raw.sadd(cluster.keys.queues, "no name", b"\xff")
    cluster.raw.xadd(cluster.keys.stream("no name:0"), {"j": "x"})
    stats = await cluster.store_client.inspector.stats()
    assert living(stats) == 1
    assert {one.queue for one in stats.streams} == {"default"}
    cluster.checked = False


async def test_a_count_of_scheduled_jobs_that_is_wrong_rights_itself(cluster: Cluster) -> None:
    await cluster.submit(job("a"), delay_ms=60_000)
    cluster.raw.hset(cluster.keys.delayed, mapping={"a": 5, "b": 7})
    node = await cluster.node()
    cluster.ripen()
    await node.work.promote()
    assert cluster.raw.hgetall(cluster.keys.delayed) == {}


# --------------------------------------------------------------------------- shared


class Reading:
    """One that goes on until it is told what it has found."""

    def __init__(self) -> None:
        self.times = 0
        self.found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def __call__(self) -> int:
        self.times += 1
        return await self.found


async def test_however_many_ask_it_is_read_once() -> None:
    reading = Reading()
    shared = Shared(reading)
    asking = [asyncio.create_task(shared.get(60)) for _ in range(100)]
    await asyncio.sleep(0)
    reading.found.set_result(7)
    assert await asyncio.gather(*asking) == [7] * 100
    assert await shared.get(60) == 7
    assert reading.times == 1


async def test_who_wants_it_fresh_does_not_get_what_was_under_way() -> None:
    reading = Reading()
    shared = Shared(reading)
    asking = [asyncio.create_task(shared.get(age)) for age in (60, 0, 60)]
    await asyncio.sleep(0)
    reading.found.set_result(7)
    assert await asyncio.gather(*asking) == [7, 7, 7]
    assert reading.times == 2
    await shared.get(0)
    assert reading.times == 3


async def test_who_gives_up_takes_it_from_nobody() -> None:
    reading = Reading()
    shared = Shared(reading)
    impatient, patient = asyncio.create_task(shared.get(60)), asyncio.create_task(shared.get(60))
    await asyncio.sleep(0)
    impatient.cancel()
    reading.found.set_result(7)
    assert await patient == 7
    assert reading.times == 1


async def test_an_error_is_told_to_all_who_wait_and_not_kept() -> None:
    reading = Reading()
    shared = Shared(reading)
    asking = [asyncio.create_task(shared.get(60)) for _ in range(2)]
    await asyncio.sleep(0)
    reading.found.set_exception(StoreUnavailable("away"))
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(one) for one in answers] == [StoreUnavailable] * 2
    reading.found = asyncio.get_running_loop().create_future()
    reading.found.set_result(7)
    assert await shared.get(60) == 7


async def test_the_server_is_asked_once_a_second_however_many_look(cluster: Cluster) -> None:
    inspector = cluster.store_client.inspector
    for read in (inspector.stats, inspector.nodes):
        await read(max_age_seconds=60)
        before = cluster.raw.info("commandstats")["cmdstat_evalsha"]["calls"]
        await asyncio.gather(*(read(max_age_seconds=60) for _ in range(50)))
        assert cluster.raw.info("commandstats")["cmdstat_evalsha"]["calls"] == before
