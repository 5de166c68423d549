"""What becomes of a job that meets a full limit, of its rate, and of limits that are changed while jobs wait."""

from __future__ import annotations

import pytest

from ironforge.errors import InvalidJob, LimitNotFound
from ironforge.job.limits import Limit, LimitUse, Override, Rate
from ironforge.job.record import JobState
from ironforge.store import Adjustment
from ironforge.store.limits import effective
from tests.store.kit import HOUR_MS, Cluster, completed, dead, ids_in, job, job_in, limited, now_ms, retry, settle


@pytest.mark.parametrize("policy", ["block", "skip", "park"])
async def test_the_head_of_a_fifo_line_holds_it_as_its_policy_says(cluster: Cluster, policy: str) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=1, order="fifo", on_failure=policy))  # type: ignore[arg-type]
    node = await cluster.node()
    first, second = limited(2)
    await cluster.submit(first, second)
    await node.work.park([retry((await node.work.fetch(10))[0])])
    waiting = await node.work.fetch(10)
    assert ids_in(waiting) == ([second.id] if policy == "skip" else [])
    cluster.ripen()
    await node.work.promote()
    await settle(node, waiting)
    (again,) = await node.work.fetch(10)
    assert job_in(again).id == first.id
    if policy != "skip":
        await node.work.bury([dead(again)])
        assert ids_in(await node.work.fetch(10)) == ([second.id] if policy == "block" else [])
    if policy == "park":
        assert await cluster.store_client.limits.resume("one", "a") == 1
        assert ids_in(await node.work.fetch(10)) == [second.id]


async def test_one_that_keeps_its_place_is_before_an_older_one_that_is_revived(cluster: Cluster) -> None:
    """Else the key waits for the one behind, and that one for its turn."""
    await cluster.store_client.limits.put("one", Limit(concurrency=1, order="fifo", on_failure="block"))
    node = await cluster.node()
    first, second = limited(2)
    await cluster.submit(first)
    await node.work.bury([dead((await node.work.fetch(10))[0])])
    await cluster.submit(second)
    await node.work.park([retry((await node.work.fetch(10))[0])])
    await cluster.store_client.producer.retry(first.id, reset_retry_count=True)
    assert await node.work.fetch(10) == []
    cluster.ripen()
    await node.work.promote()
    (held,) = await node.work.fetch(10)
    assert job_in(held).id == second.id
    await settle(node, [held])
    assert ids_in(await node.work.fetch(10)) == [first.id]


async def test_a_key_that_is_full_cancels_the_new_one_where_it_says_so(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=1, when_full="cancel_new"))
    node = await cluster.node()
    first, second = limited(2)
    await cluster.submit(first)
    held = await node.work.fetch(10)
    await cluster.submit(second)
    assert await node.work.fetch(10) == []
    view = await cluster.store_client.inspector.get(second.id)
    assert (view.state, view.job.reason) == (JobState.CANCELLED, "limit_full")
    await settle(node, held)


async def test_a_key_that_is_full_cancels_the_oldest_where_it_says_so(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=1, when_full="cancel_oldest"))
    node = await cluster.node()
    first, second = limited(2)
    await cluster.submit(first)
    held = await node.work.fetch(10)
    await cluster.submit(second)
    assert await node.work.fetch(10) == []
    assert await node.work.cancel_requested([first.id]) == [first.id]
    await node.work.settle([completed(held[0], state="cancelled")])
    assert ids_in(await node.work.fetch(10)) == [second.id]


async def test_a_door_refuses_what_can_never_run(one: Cluster) -> None:
    await one.store_client.limits.put("rate", Limit(rate=Rate(10, burst=5)))
    before = one.snapshot()
    with pytest.raises(InvalidJob) as unknown:
        await one.submit(job(), *limited(1, name="none"))
    with pytest.raises(InvalidJob) as large:
        await one.submit(job(limits=(LimitUse("rate", "a", 6),)))
    assert (unknown.value.code, large.value.code) == ("unknown_limit", "units_over_burst")
    assert one.snapshot() == before


async def test_a_rate_lets_in_its_burst_and_says_when_to_look_again(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("rate", Limit(rate=Rate(1, per_seconds=3600, burst=4)))
    node = await cluster.node()
    await cluster.submit(*limited(10, name="rate"))
    held = await node.work.fetch(10)
    assert len(held) == 4
    await settle(node, held)
    assert await node.work.fetch(10) == []
    key = await cluster.store_client.limits.key("rate", "a")
    assert (key.running, key.waiting, key.remaining) == (0, 6, 0)
    assert key.next_ms is not None


async def test_what_an_operator_says_holds_at_once_and_until_it_is_taken_back(one: Cluster) -> None:
    node = await one.node()
    limits = one.store_client.limits
    await one.submit(*limited(9))
    held = await node.work.fetch(10)
    await limits.override("one", Override(concurrency=3, note="more hands"))
    await limits.put("one", Limit(concurrency=1))  # a restart
    held += await node.work.fetch(10)
    assert len(held) == 3
    key = await limits.key("one", "a")
    assert (key.running, key.waiting, len(key.holders)) == (3, 6, 3)
    await limits.override("one", None)
    await settle(node, held[1:])
    assert await node.work.fetch(10) == []


async def test_what_waits_for_a_limit_that_is_deleted_runs(one: Cluster) -> None:
    node = await one.node()
    await one.submit(*limited(3))
    assert len(await node.work.fetch(10)) == 1
    await one.store_client.limits.delete("one")
    assert len(await node.work.fetch(10)) == 2
    with pytest.raises(LimitNotFound):
        await one.store_client.limits.get("one")
    assert await one.store_client.limits.all() == {}


async def test_a_waiting_node_is_told_of_room(one: Cluster) -> None:
    """By `signals`, as it is blocked in its read; here it is woken by hand."""
    node, other = await one.node(), await one.node()
    await one.submit(*limited(2))
    held = await node.work.fetch(10)
    heard = []
    async for signal in other.store.signals.listen():
        heard.append(signal.name)
        if signal.name == "connected":
            await settle(node, held)
        if signal.name == "room":
            break
    await other.store.signals.close()
    assert len(await other.work.wait(1, 5)) == 1


async def test_a_place_without_a_job_is_found_and_mended(one: Cluster) -> None:
    node = await one.node()
    (first,) = limited(1)
    one.raw.zadd(one.keys.holders("one\na"), {b"of a job that is gone"[:16]: 1})
    await one.submit(first)
    assert await node.work.fetch(10) == []
    assert await node.work.audit_limits() == 1
    assert ids_in(await node.work.fetch(10)) == [first.id]


async def test_a_head_that_stands_nowhere_is_found_and_stands_again(one: Cluster) -> None:
    node = await one.node()
    (first,) = limited(1)
    await one.submit(first)
    one.raw.zrem(one.keys.fair("default:2"), first.id)
    one.raw.zadd(one.keys.behind("default:2"), {first.id: 1})
    assert await node.work.fetch(10) == []
    assert await node.work.audit_limits() == 1
    assert ids_in(await node.work.fetch(10)) == [first.id]


async def test_keys_that_no_job_uses_are_forgotten(one: Cluster) -> None:
    node = await one.node()
    await one.submit(*limited(1, "a"), *limited(2, "b"))
    held = await node.work.fetch(10)
    await settle(node, held)
    assert len(await node.work.fetch(10)) == 1
    assert await node.work.audit_limits() == 0
    assert one.raw.hkeys(one.keys.in_use) == [b"one\nb"]


async def test_a_key_that_is_stopped_lets_nobody_in_until_it_goes_on(cluster: Cluster) -> None:
    limits = cluster.store_client.limits
    await limits.put("one", Limit(concurrency=5))
    node = await cluster.node()
    await cluster.submit(*limited(2, "a"), *limited(1, "b"))
    await node.work.adjust([Adjustment("default:2", "one\na", throttled_ms=HOUR_MS)])
    assert [job_in(one).limits[0].key for one in await node.work.fetch(10)] == ["b"]
    assert (await limits.key("one", "a")).stopped_ms is not None
    await limits.resume("one", "a")
    assert len(await node.work.fetch(10)) == 2


async def test_what_was_used_beyond_the_estimate_is_worked_off_first(cluster: Cluster) -> None:
    limits = cluster.store_client.limits
    await limits.put("rate", Limit(rate=Rate(1, per_seconds=3600, burst=10)))
    node = await cluster.node()
    await cluster.submit(*limited(1, name="rate"))
    await node.work.fetch(10)
    await node.work.adjust([Adjustment("default:2", "rate\na", units=4)])
    assert (await limits.key("rate", "a")).remaining == 5
    await node.work.adjust([Adjustment("default:2", "rate\na", units=-2)])
    assert (await limits.key("rate", "a")).remaining == 7
    await node.work.adjust([Adjustment("default:2", "rate\na", units=100)])
    key = await limits.key("rate", "a")
    assert (key.stopped_ms is None, key.probing) == (False, False)
    await cluster.submit(*limited(1, name="rate"))
    assert await node.work.fetch(10) == []


async def test_one_that_keeps_its_place_comes_back_in_front_of_those_that_a_clock_says_came_before(
    cluster: Cluster,
) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=1, order="fifo", on_failure="block"))
    node = await cluster.node()
    first, second = limited(2)
    await cluster.submit(first, second)
    await node.work.park([retry((await node.work.fetch(10))[0])])
    for key in (cluster.keys.line("default:2:one\na"), cluster.keys.behind("default:2")):
        cluster.raw.zadd(key, {second.id: 1_000})
    cluster.ripen()
    await node.work.promote()
    assert ids_in(await node.work.fetch(10)) == [first.id]


async def test_no_override_lets_two_jobs_of_a_fifo_key_run_at_once(cluster: Cluster) -> None:
    limits = cluster.store_client.limits
    await limits.put("one", Limit(concurrency=1, order="fifo"))
    with pytest.raises(InvalidJob, match="limit one is fifo: no override lets 2 of its jobs run at once"):
        await limits.override("one", Override(concurrency=2))
    await limits.override("one", Override(concurrency=1, rate=Rate(5)))
    found = await limits.get("one")
    assert effective(found, now_ms()) == Limit(concurrency=1, rate=Rate(5), order="fifo")


async def test_a_limit_that_becomes_fifo_runs_one_at_once_whatever_was_overridden_before(cluster: Cluster) -> None:
    limits = cluster.store_client.limits
    await limits.put("one", Limit(concurrency=2))
    await limits.override("one", Override(concurrency=3))
    await limits.put("one", Limit(concurrency=1, order="fifo"))
    node = await cluster.node()
    await cluster.submit(*limited(3))
    assert len(await node.work.fetch(10)) == 1
    assert effective(await limits.get("one"), now_ms()).concurrency == 1


async def test_an_override_may_give_a_rate_to_a_limit_without_one(one: Cluster) -> None:
    limits = one.store_client.limits
    await limits.override("one", Override(rate=Rate(1, per_seconds=3600)))
    node = await one.node()
    await one.submit(*limited(2))
    await settle(node, await node.work.fetch(10))
    assert await node.work.fetch(10) == []
    await limits.override("one", None)
    assert len(await node.work.fetch(10)) == 1


async def test_a_job_with_more_units_than_a_burst_that_was_lowered_starts_when_nothing_is_used(
    cluster: Cluster,
) -> None:
    limits = cluster.store_client.limits
    await limits.put("rate", Limit(rate=Rate(1, per_seconds=3600, burst=5)))
    large, late = (job(limits=(LimitUse("rate", "a", 5),)) for _ in range(2))
    await cluster.submit(large)
    await limits.override("rate", Override(rate=Rate(1, per_seconds=3600, burst=2)))
    with pytest.raises(InvalidJob, match="units"):
        await cluster.submit(late)
    node = await cluster.node()
    assert ids_in(await node.work.fetch(10)) == [large.id]
