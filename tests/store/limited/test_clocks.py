"""Times that do not fit together: a server's clock that was put back, a client that is ahead, an override that ends."""

from __future__ import annotations

from typing import Any

import pytest

from ironforge.job.limits import Limit, LimitUse, Override, Rate, throttled_mark
from ironforge.job.record import Job, new_id
from ironforge.store import Rewrite
from tests.store.kit import HOUR_MS, Cluster, completed, ids_in, job, job_in, limited, now_ms, retry, settle
from tests.support.waiting import until

LINE = "default:2:one\na"


def created(at_ms: int, **fields: Any) -> Job:
    """Submitted by a client whose clock says this."""
    return job(id=at_ms.to_bytes(6) + new_id()[6:], limits=(LimitUse("one", "a"),), **fields)


def put_clock_back(cluster: Cluster) -> None:
    """What the server has written of limits until now, it wrote by a clock that was an hour ahead."""
    in_ms, in_us = (cluster.keys.stops, cluster.keys.dueroom), cluster.raw.keys(cluster.keys.line("*"))
    for key, hour in [*((key, HOUR_MS) for key in in_ms), *((key, HOUR_MS * 1000) for key in in_us)]:
        for member in cluster.raw.zrange(key, 0, -1):
            cluster.raw.zincrby(key, hour, member)
    if cluster.raw.exists(cluster.keys.looked):
        cluster.raw.incrby(cluster.keys.looked, HOUR_MS)


@pytest.mark.parametrize("high_units", [1, 5])
async def test_a_key_is_looked_at_again_when_the_first_of_its_jobs_may_start(cluster: Cluster, high_units: int) -> None:
    """However many wait for it: one of five units is let in 500 s after the burst, one of a single unit after 100 s."""
    await cluster.store_client.limits.put("rate", Limit(rate=Rate(1, per_seconds=100, burst=5)))
    node = await cluster.node()
    whole, single = (LimitUse("rate", "a", 5),), (LimitUse("rate", "a", 1),)
    high, low = (single, whole) if high_units == 1 else (whole, single)
    await cluster.submit(job(limits=whole))
    await settle(node, await node.work.fetch(1))
    await cluster.submit(job(priority=1, limits=high), job(priority=3, limits=low))
    cluster.raw.sadd(cluster.keys.room, "rate\na")
    assert await node.work.fetch(10) == []
    key = await cluster.store_client.limits.key("rate", "a")
    assert key.next_ms is not None
    assert key.next_ms <= now_ms() + 100_000


@pytest.mark.parametrize("said", [Override(concurrency=1), Override(rate=Rate(1, per_seconds=3600, burst=1))])
async def test_the_end_of_an_override_lets_in_those_that_it_kept_out(cluster: Cluster, said: Override) -> None:
    """No job ends, and nobody submits one."""
    limits = cluster.store_client.limits
    await limits.put("one", Limit(concurrency=3))
    node = await cluster.node()
    await cluster.submit(*limited(5))
    await limits.override("one", Override(said.concurrency, said.rate, now_ms() + HOUR_MS))
    held = await node.work.fetch(10)
    assert len(held) == 1
    await limits.override("one", Override(said.concurrency, said.rate, now_ms() + 50))

    async def more() -> bool:
        held.extend(await node.work.wait(10, 5.0))
        return len(held) > 1

    await until(more, "the override to end")
    held += await node.work.fetch(10)
    assert len(held) == 3


async def test_a_clock_that_was_put_back_stops_no_key_for_longer(one: Cluster) -> None:
    node = await one.node()
    await one.submit(*limited(2))
    (held,) = await node.work.fetch(10)
    looked_ms = now_ms()
    assert await node.work.audit_limits() == 0
    mark = throttled_mark({job_in(held).limits[0]: 60_000})
    await node.work.park([Rewrite.of(*held[:2], job_in(held).again(), delay_ms=60_000, failed=False, throttled=mark)])
    put_clock_back(one)
    key = await one.store_client.limits.key("one", "a")
    assert (key.stopped_ms or 0) > now_ms() + HOUR_MS
    assert await node.work.audit_limits() == 0
    key = await one.store_client.limits.key("one", "a")
    # What has passed since the last look is not known of.
    assert 0 < (key.stopped_ms or 0) <= now_ms() + 60_000 + (now_ms() - looked_ms)
    assert key.next_ms == key.stopped_ms


async def test_a_clock_that_was_put_back_delays_no_look_at_a_rate(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(rate=Rate(1, per_seconds=60, burst=1)))
    node = await cluster.node()
    await cluster.submit(*limited(2))
    await settle(node, await node.work.fetch(1))
    assert await node.work.fetch(1) == []
    looked_ms = now_ms()
    assert await node.work.audit_limits() == 0
    put_clock_back(cluster)
    assert await node.work.audit_limits() == 0
    key = await cluster.store_client.limits.key("one", "a")
    assert 0 < (key.next_ms or 0) <= now_ms() + 60_000 + (now_ms() - looked_ms)


async def test_one_that_waited_when_the_clock_was_put_back_stays_before_those_that_come_now(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=1, order="fifo"))
    node = await cluster.node()
    jobs = limited(4)
    await cluster.submit(jobs[0])
    held = await node.work.fetch(10)
    await cluster.submit(jobs[1])
    put_clock_back(cluster)
    await cluster.submit(*jobs[2:])
    order = ids_in(held)
    while held:
        await settle(node, held)
        held = await node.work.fetch(10)
        order += ids_in(held)
    assert order == [one.id for one in jobs]


@pytest.mark.parametrize("skew_ms", [-10_000, 10_000])
async def test_who_comes_back_heads_its_line_whatever_its_client_takes_for_the_time(one: Cluster, skew_ms: int) -> None:
    node = await one.node()
    first = created(now_ms() + skew_ms)
    second, third = limited(2)
    await one.submit(first, second, third)
    held = await node.work.fetch(10)
    await node.work.park([retry(held[0])])
    held = await node.work.fetch(10)
    assert ids_in(held) == [second.id]
    one.ripen()
    await node.work.promote()
    await node.work.settle([completed(held[0])])
    assert ids_in(await node.work.fetch(10)) == [first.id]
