"""What becomes of a key whose target throttles: it stops for everybody, then one job goes first, then all as before."""

from __future__ import annotations

import pytest

from ironforge.job.limits import Limit, LimitUse, Override, Rate, throttled_mark
from ironforge.job.record import Job, JobState
from ironforge.store import Adjustment, Delivery, Rewrite
from tests.store.kit import HOUR_MS, Cluster, Node, dead, ids_in, job, job_in, limited, retry, rewrite, settle

PLACE = "default:2"


@pytest.fixture
async def many(cluster: Cluster) -> Cluster:
    """With the limit `one`: several jobs of a key at a time."""
    await cluster.store_client.limits.put("one", Limit(concurrency=5))
    return cluster


def throttled(delivery: Delivery, ms: int = HOUR_MS, *names: str) -> Rewrite:
    """As a node writes it of a handler that raised Throttled."""
    found = job_in(delivery)
    keys = {use: ms for use in found.limits if use.name in (names or ("one",))}
    return Rewrite.of(*delivery[:2], found.again(), delay_ms=ms, failed=False, throttled=throttled_mark(keys))


async def stop_ends(cluster: Cluster, claim: str = "one\na") -> None:
    """The time for which it is stopped is over."""
    for name in (cluster.keys.stops, cluster.keys.dueroom):
        cluster.raw.zadd(name, {claim: 1}, xx=True)


async def stopped(cluster: Cluster, *jobs: Job) -> Node:
    """A node; of `jobs` the first was let in alone, and met a target that throttles."""
    node = await cluster.node()
    await cluster.submit(*jobs[:1])
    held = await node.work.fetch(10)
    await cluster.submit(*jobs[1:])
    await node.work.park([throttled(held[0])])
    return node


async def test_a_throttled_job_spends_no_attempt_and_its_key_stops_for_everybody(many: Cluster) -> None:
    first, second = limited(2)
    node = await stopped(many, first, second)
    await many.submit(*limited(1, "b"))
    assert [job_in(one).limits[0].key for one in await node.work.fetch(10)] == ["b"]
    view = await many.store_client.inspector.get(first.id)
    assert (view.state, view.job.attempt, view.job.fence) == (JobState.QUEUED, 0, 1)
    assert many.totals().get("failed", 0) == 0
    key = await many.store_client.limits.key("one", "a")
    assert (key.running, key.waiting, key.remaining, key.probing) == (0, 2, 0, False)
    assert key.stopped_ms == key.next_ms == key.resets_ms


async def test_after_the_stop_one_goes_first_and_then_all(many: Cluster) -> None:
    jobs = limited(4)
    node = await stopped(many, *jobs)
    await stop_ends(many)
    probe = await node.work.fetch(10)
    assert ids_in(probe) == [jobs[0].id]
    key = await many.store_client.limits.key("one", "a")
    assert (key.running, key.waiting, key.probing, key.stopped_ms) == (1, 3, True, None)
    assert await node.work.fetch(10) == []
    await settle(node, probe)
    assert ids_in(await node.work.fetch(10)) == [one.id for one in jobs[1:]]
    assert not (await many.store_client.limits.key("one", "a")).probing
    assert many.raw.exists(many.keys.probes) == 0


async def test_a_probe_that_is_throttled_stops_the_key_again(many: Cluster) -> None:
    jobs = limited(3)
    node = await stopped(many, *jobs)
    await stop_ends(many)
    (probe,) = await node.work.fetch(10)
    await node.work.park([throttled(probe)])
    assert await node.work.fetch(10) == []
    await stop_ends(many)
    assert ids_in(await node.work.fetch(10)) == [jobs[0].id]


@pytest.mark.parametrize("order", ["", "fifo"])
async def test_a_probe_that_fails_has_ended_but_for_the_order_of_its_key(cluster: Cluster, order: str) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=1 if order else 5, order=order))  # type: ignore[arg-type]
    jobs = limited(3)
    node = await stopped(cluster, *jobs)
    await stop_ends(cluster)
    (probe,) = await node.work.fetch(10)
    await node.work.park([retry(probe)])
    assert len(await node.work.fetch(10)) == (0 if order else 2)
    cluster.ripen()
    await node.work.promote()
    assert ids_in(await node.work.fetch(10)) == [jobs[0].id]


async def test_a_probe_that_dies_has_ended(many: Cluster) -> None:
    node = await stopped(many, *limited(3))
    await stop_ends(many)
    (probe,) = await node.work.fetch(10)
    await node.work.bury([dead(probe)])
    assert len(await node.work.fetch(10)) == 2


async def test_a_probe_that_was_declined_did_not_run_and_the_next_one_is_it(many: Cluster) -> None:
    jobs = limited(3)
    node = await stopped(many, *jobs)
    await stop_ends(many)
    (probe,) = await node.work.fetch(10)
    await node.work.decline([rewrite(probe)])
    assert ids_in(await node.work.fetch(10)) == [jobs[1].id]
    assert await node.work.fetch(10) == []


async def test_a_probe_whose_node_died_is_still_the_probe(many: Cluster) -> None:
    jobs = limited(3)
    node = await stopped(many, *jobs)
    await stop_ends(many)
    assert len(await node.work.fetch(10)) == 1
    other = await many.node()
    many.lapse(node)
    assert await other.leases.take_over(other.lease, node.lease.node) == 1
    again = await other.work.fetch(10)
    assert ids_in(again) == [jobs[0].id]
    await settle(other, again)
    assert len(await other.work.fetch(10)) == 2


async def test_those_that_ran_when_it_stopped_do_not_hold_up_the_probe(many: Cluster) -> None:
    node = await many.node()
    jobs = limited(3)
    await many.submit(*jobs[:2])
    slow, quick = await node.work.fetch(10)
    await many.submit(jobs[2])
    await node.work.park([throttled(quick)])
    await stop_ends(many)
    probe = await node.work.fetch(10)
    assert ids_in(probe) == [jobs[1].id]
    await settle(node, [slow])
    assert await node.work.fetch(10) == []
    await settle(node, probe)
    assert ids_in(await node.work.fetch(10)) == [jobs[2].id]


async def test_a_key_stays_stopped_after_its_probe_said_so_and_completed(many: Cluster) -> None:
    node = await stopped(many, *limited(3))
    await stop_ends(many)
    probe = await node.work.fetch(10)
    await node.work.adjust([Adjustment(PLACE, "one\na", throttled_ms=HOUR_MS)])
    await settle(node, probe)
    assert await node.work.fetch(10) == []
    await stop_ends(many)
    assert len(await node.work.fetch(10)) == 1


async def test_the_longer_of_two_stops_counts(many: Cluster) -> None:
    node = await stopped(many, *limited(2))
    before = (await many.store_client.limits.key("one", "a")).stopped_ms
    await node.work.adjust([Adjustment(PLACE, "one\na", throttled_ms=1)])
    assert (await many.store_client.limits.key("one", "a")).stopped_ms == before


async def test_a_stop_of_one_of_its_limits_moves_a_job_into_that_line(many: Cluster) -> None:
    await many.store_client.limits.put("other", Limit(concurrency=5))
    node = await many.node()
    both = job(limits=(LimitUse("one", "a"), LimitUse("other", "x")))
    await many.submit(both)
    (held,) = await node.work.fetch(10)
    await node.work.park([throttled(held, HOUR_MS, "other")])
    await many.submit(*limited(1, "x", "other"), *limited(1))
    assert [job_in(one).limits[0].name for one in await node.work.fetch(10)] == ["one"]
    await stop_ends(many, "other\nx")
    assert ids_in(await node.work.fetch(10)) == [both.id]


async def test_a_throttled_job_that_was_cancelled_is_cancelled(many: Cluster) -> None:
    node = await many.node()
    (first,) = limited(1)
    await many.submit(first)
    held = await node.work.fetch(10)
    assert await many.store_client.producer.cancel(first.id) is JobState.RUNNING
    await node.work.park([throttled(held[0])])
    assert await many.state(first) is JobState.CANCELLED


async def test_a_key_that_is_stopped_cancels_nobody_who_runs(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=5, when_full="cancel_oldest"))
    node = await cluster.node()
    jobs = limited(3)
    await cluster.submit(*jobs[:2])
    slow, quick = await node.work.fetch(10)
    await node.work.park([throttled(quick)])
    await stop_ends(cluster)
    await cluster.submit(jobs[2])
    assert len(await node.work.fetch(10)) == 1
    assert await node.work.fetch(10) == []
    assert await node.work.cancel_requested([job_in(slow).id, jobs[1].id]) == []


async def test_what_waits_says_why(many: Cluster) -> None:
    first, second = limited(2)
    node = await stopped(many, first, second)
    key = await many.store_client.limits.key("one", "a")
    waiting = (await many.store_client.inspector.get(second.id)).waiting_for
    assert waiting is not None
    assert waiting[:3] == (
        "limit",
        "limit one lets none of key a start: a handler said that its target throttles",
        key.stopped_ms,
    )
    await stop_ends(many)
    await node.work.fetch(10)
    waiting = (await many.store_client.inspector.get(second.id)).waiting_for
    assert waiting is not None
    assert waiting.detail == (
        "limit one lets one of key a go first, since its target throttled, and that one has not ended"
    )


async def test_an_operator_lets_a_key_go_on(many: Cluster) -> None:
    node = await stopped(many, *limited(3))
    await many.store_client.limits.resume("one", "a")
    assert len(await node.work.fetch(10)) == 3


async def test_a_key_that_used_more_than_its_burst_goes_on_with_its_burst_used_up(cluster: Cluster) -> None:
    limits = cluster.store_client.limits
    await limits.put("one", Limit(rate=Rate(1, per_seconds=3600, burst=10)))
    node = await cluster.node()
    await cluster.submit(*limited(1))
    await node.work.fetch(10)
    await node.work.adjust([Adjustment(PLACE, "one\na", units=100)])
    await limits.resume("one", "a")
    used_up_ms = (await limits.key("one", "a")).resets_ms
    assert used_up_ms <= int(cluster.raw.time()[0] + 1) * 1000 + 10 * HOUR_MS


async def test_that_a_key_was_throttled_is_forgotten_with_the_key(many: Cluster) -> None:
    node = await many.node()
    await many.submit(*limited(1))
    held = await node.work.fetch(10)
    await node.work.adjust([Adjustment(PLACE, "one\na", throttled_ms=HOUR_MS)])
    await settle(node, held)
    assert await node.work.audit_limits() == 0
    assert many.raw.zcard(many.keys.probes) == 1
    await stop_ends(many)
    assert await node.work.audit_limits() == 0
    assert many.raw.exists(many.keys.probes) == 0


async def test_a_stop_that_is_over_is_forgotten_when_its_key_is_in_use_no_more(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(rate=Rate(1, per_seconds=3600, burst=10)))
    node = await cluster.node()
    for key in "ab":
        await cluster.submit(*limited(1, key))
        held = await node.work.fetch(10)
        await node.work.adjust([Adjustment(PLACE, f"one\n{key}", units=100)])
        await settle(node, held)
        assert await node.work.audit_limits() == 0
    assert cluster.raw.zcard(cluster.keys.stops) == 2
    assert cluster.raw.exists(cluster.keys.in_use) == 0
    await stop_ends(cluster)
    await cluster.submit(*limited(1, "c"))
    assert await node.work.audit_limits() == 0
    assert cluster.raw.zrange(cluster.keys.stops, 0, -1) == [b"one\nb"]


async def test_what_is_given_back_lets_others_in_at_once(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(rate=Rate(1, per_seconds=3600, burst=10)))
    node = await cluster.node()
    await cluster.submit(job(limits=(LimitUse("one", "a", 10),)), *limited(3))
    assert len(await node.work.fetch(10)) == 1
    await node.work.adjust([Adjustment(PLACE, "one\na", units=-2)])
    assert len(await node.work.fetch(10)) == 2


async def test_a_limit_without_a_rate_has_nothing_to_correct(many: Cluster) -> None:
    node = await many.node()
    before = many.snapshot()
    await node.work.adjust([Adjustment(PLACE, "one\na", units=3), Adjustment(PLACE, "none\na", units=3)])
    assert many.snapshot() == before


async def test_a_stop_holds_whatever_an_operator_says_of_the_limit(many: Cluster) -> None:
    node = await stopped(many, *limited(3))
    await many.store_client.limits.override("one", Override(concurrency=9))
    assert await node.work.fetch(10) == []
