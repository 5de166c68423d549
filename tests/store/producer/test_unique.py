"""Unique keys: who gets the answer of the first job, who is refused, what is replaced, and when a key is free again."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import pytest

from ironforge.errors import Duplicate
from ironforge.job.record import JobState, decode, format_id
from ironforge.job.uniqueness import UniqueUse
from ironforge.store import Accepted, Submission
from tests.store.kit import Cluster, completed, dead, job, now_ms, retry, rewrite
from tests.store.uniqueness import DEBOUNCE, REJECT, REPLACE, RETURN, holders, submit, unique


async def test_a_second_job_gets_the_answer_of_the_first(cluster: Cluster) -> None:
    first = unique(RETURN)
    assert await submit(cluster, first) == Accepted(first.id, JobState.QUEUED)
    assert await submit(cluster, unique(RETURN)) == Accepted(first.id, JobState.QUEUED, deduplicated=True)
    assert set(cluster.entries()) == {first.id}
    assert cluster.totals()["submitted"] == 1


async def test_the_answer_says_what_the_first_job_does_now(cluster: Cluster) -> None:
    node = await cluster.node()
    first = unique(RETURN)
    await submit(cluster, first)
    await node.work.fetch(1)
    assert await submit(cluster, unique(RETURN)) == Accepted(first.id, JobState.RUNNING, deduplicated=True)


async def test_keys_of_other_kinds_are_other_keys(cluster: Cluster) -> None:
    await submit(cluster, unique(REJECT))
    assert (await submit(cluster, unique(REJECT, kind="other"))).deduplicated is False
    assert (await submit(cluster, unique(UniqueUse("b", on_conflict="reject")))).deduplicated is False


async def test_a_rejected_job_is_told_who_has_the_key_and_nothing_is_stored(cluster: Cluster) -> None:
    first = unique(REJECT)
    await submit(cluster, first)
    before = cluster.snapshot()
    with pytest.raises(Duplicate, match="is queued") as caught:
        await cluster.store_client.producer.submit([Submission(job()), Submission(unique(REJECT))])
    assert caught.value.job_id == format_id(first.id)
    assert cluster.snapshot() == before


@pytest.mark.parametrize("end", ["completed", "cancelled", "dead"])
async def test_the_end_of_a_job_releases_its_key(cluster: Cluster, end: Any) -> None:
    node = await cluster.node()
    await submit(cluster, unique(REJECT))
    [delivery] = await node.work.fetch(1)
    if end == "dead":
        await node.work.bury([dead(delivery)])
    else:
        await node.work.settle([completed(delivery, state=end)])
    assert await holders(cluster) == set()
    second = unique(REJECT)
    await submit(cluster, second)
    assert await holders(cluster) == {second.id}


@pytest.mark.parametrize("options", [{}, {"delay_ms": 60_000}], ids=["queued", "scheduled"])
@pytest.mark.parametrize("fields", [{}, {"fairness_key": "f"}], ids=["plain", "fair"])
async def test_to_cancel_a_waiting_job_releases_its_key(cluster: Cluster, options: Any, fields: Any) -> None:
    await cluster.submit(job(fairness_key="f"), job(fairness_key="f"))
    first = unique(REJECT, **fields)
    await submit(cluster, first, **options)
    await cluster.store_client.producer.cancel(first.id)
    assert await holders(cluster) == set()


async def test_an_end_releases_the_job_s_own_hold_alone(cluster: Cluster) -> None:
    node = await cluster.node()
    queued = UniqueUse("a", "queued")
    first, second = unique(queued), unique(queued)
    await submit(cluster, first)
    [delivery] = await node.work.fetch(1)
    assert await submit(cluster, second) == Accepted(second.id, JobState.QUEUED)
    await node.work.settle([completed(delivery)])
    assert await holders(cluster) == {second.id}


async def test_a_retry_a_snooze_and_a_requeue_keep_the_key(cluster: Cluster) -> None:
    node = await cluster.node()
    first = unique(REJECT)
    await submit(cluster, first)
    for move in ("retry", "snooze", "requeue"):
        [delivery] = await node.work.fetch(1)
        if move == "requeue":
            await node.work.requeue([rewrite(delivery)])
        else:
            await node.work.park([retry(delivery) if move == "retry" else rewrite(delivery)])
        assert await holders(cluster) == {first.id}
        with pytest.raises(Duplicate):
            await submit(cluster, unique(REJECT))
        await node.work.promote()


async def test_a_take_over_keeps_the_key(cluster: Cluster) -> None:
    node, other = await cluster.node(), await cluster.node()
    first = unique(REJECT)
    await submit(cluster, first)
    await node.work.fetch(1)
    cluster.lapse(node)
    await other.leases.take_over(other.lease, node.lease.node)
    with pytest.raises(Duplicate, match="is queued"):
        await submit(cluster, unique(REJECT))
    [delivery] = await other.work.fetch(1)
    await other.work.settle([completed(delivery)])
    assert await holders(cluster) == set()


async def test_to_retry_a_dead_job_takes_the_key_again(cluster: Cluster) -> None:
    node = await cluster.node()
    first = unique(REJECT)
    await submit(cluster, first)
    [delivery] = await node.work.fetch(1)
    await node.work.bury([dead(delivery)])
    await cluster.store_client.producer.retry(first.id, reset_retry_count=True)
    assert await holders(cluster) == {first.id}


async def test_a_dead_job_whose_key_has_been_taken_is_not_retried(cluster: Cluster) -> None:
    node = await cluster.node()
    first, second = unique(REJECT), unique(REJECT, queue="idle")
    await submit(cluster, first)
    [delivery] = await node.work.fetch(1)
    await node.work.bury([dead(delivery)])
    await submit(cluster, second)
    with pytest.raises(Duplicate) as caught:
        await cluster.store_client.producer.retry(first.id, reset_retry_count=True)
    assert caught.value.job_id == format_id(second.id)
    assert await cluster.state(first) is JobState.DEAD


PLACES = [({}, {}), ({"delay_ms": 60_000}, {}), ({}, {"fairness_key": "f"}), ({}, {"priority": 0})]


@pytest.mark.parametrize(("before", "fields"), PLACES)
@pytest.mark.parametrize(("after", "others"), PLACES)
async def test_a_job_takes_the_place_of_a_waiting_one(
    cluster: Cluster, before: Any, fields: Any, after: Any, others: Any
) -> None:
    await cluster.submit(job(fairness_key="f"), job(fairness_key="f"))
    first, second = unique(REPLACE, **fields), unique(REPLACE, b'{"n":2}', **others)
    await submit(cluster, first, **before)
    state = JobState.SCHEDULED if after else JobState.QUEUED
    assert await submit(cluster, second, **after) == Accepted(first.id, state, deduplicated=True)
    view = await cluster.store_client.inspector.get(first.id)
    assert view.state is state
    assert view.job == msgspec.structs.replace(second, id=first.id)
    assert cluster.totals()["submitted"] == 3


async def test_a_job_that_runs_is_not_replaced(cluster: Cluster) -> None:
    node = await cluster.node()
    await submit(cluster, unique(REPLACE))
    [delivery] = await node.work.fetch(1)
    with pytest.raises(Duplicate, match="is running"):
        await submit(cluster, unique(REPLACE))
    await node.work.park([retry(delivery, 60_000)])
    with pytest.raises(Duplicate, match="is scheduled"):
        await submit(cluster, unique(REPLACE))


async def test_a_debounced_job_starts_its_delay_again(cluster: Cluster) -> None:
    first = unique(DEBOUNCE)
    await submit(cluster, first, delay_ms=60_000)
    cluster.raw.zadd(cluster.keys.scheduled, {first.id: now_ms() + 1_000})
    await submit(cluster, unique(DEBOUNCE, b"2"), delay_ms=60_000)
    view = await cluster.store_client.inspector.get(first.id)
    assert view.job.payload == b"2"
    assert view.due_ms is not None
    assert view.due_ms > now_ms() + 30_000


async def test_a_debounced_job_is_put_off_no_longer_than_allowed(cluster: Cluster) -> None:
    use = UniqueUse("a", "queued", on_conflict="debounce", max_wait_ms=60_000)
    first = unique(use)
    await submit(cluster, first, delay_ms=40_000)
    await submit(cluster, unique(use), delay_ms=50_000_000)
    view = await cluster.store_client.inspector.get(first.id)
    assert view.due_ms == int.from_bytes(first.id[:6], "big") + 60_000


async def test_one_that_comes_when_the_debounced_job_has_started_opens_a_new_one(cluster: Cluster) -> None:
    node = await cluster.node()
    first, second = unique(DEBOUNCE), unique(DEBOUNCE)
    await submit(cluster, first, delay_ms=60_000)
    cluster.ripen()
    await node.work.promote()
    await node.work.fetch(1)
    assert await submit(cluster, second, delay_ms=60_000) == Accepted(second.id, JobState.SCHEDULED)
    assert await holders(cluster) == {second.id}


async def test_a_throttle_counts_from_the_first_submission_whatever_becomes_of_it(cluster: Cluster) -> None:
    node = await cluster.node()
    use = UniqueUse("a", "", for_ms=60_000)
    first = unique(use)
    await submit(cluster, first)
    [delivery] = await node.work.fetch(1)
    await node.work.settle([completed(delivery)])
    assert await submit(cluster, unique(use)) == Accepted(first.id, JobState.COMPLETED, deduplicated=True)
    assert 50_000 < cluster.raw.pttl(cluster.keys.unique("k:a")) <= 60_000


async def test_of_an_end_and_a_time_the_earlier_counts(cluster: Cluster) -> None:
    use = UniqueUse("a", for_ms=1, on_conflict="reject")
    first, second = unique(use), unique(use)
    await submit(cluster, first)
    deadline = time.monotonic() + 10
    while await holders(cluster):
        assert time.monotonic() < deadline
    assert (await submit(cluster, second)).id == second.id


async def test_of_a_hundred_at_once_one_is_stored(cluster: Cluster) -> None:
    doors = [cluster.open_doors().producer for _ in range(4)]
    calls = [doors[n % 4].submit([Submission(unique(RETURN))]) for n in range(100)]
    answers = [one for [one] in await asyncio.gather(*calls)]
    assert len({one.id for one in answers}) == 1
    assert [one.deduplicated for one in answers].count(False) == 1
    assert len(cluster.entries()) == 1


async def test_of_a_hundred_at_once_all_others_are_rejected(cluster: Cluster) -> None:
    submit = cluster.store_client.producer.submit
    answers = await asyncio.gather(*(submit([Submission(unique(REJECT))]) for _ in range(100)), return_exceptions=True)
    assert sum(isinstance(one, Duplicate) for one in answers) == 99
    assert len(cluster.entries()) == 1


async def test_two_jobs_of_a_batch_with_one_key_are_one(cluster: Cluster) -> None:
    first, second, other = unique(RETURN), unique(RETURN), job()
    answers = await cluster.store_client.producer.submit([Submission(one) for one in (first, second, other)])
    assert [one.id for one in answers] == [first.id, first.id, other.id]
    assert [one.deduplicated for one in answers] == [False, True, False]


async def test_the_last_of_a_batch_with_one_key_replaces_the_others(cluster: Cluster) -> None:
    stored = unique(REPLACE)
    await submit(cluster, stored)
    batch = [unique(REPLACE, b"%d" % n) for n in range(3)]
    answers = await cluster.store_client.producer.submit([Submission(one) for one in batch])
    assert answers == [Accepted(stored.id, JobState.QUEUED, deduplicated=True)] * 3
    [(_, fields)] = cluster.raw.xrange(cluster.keys.stream("default:2"))
    assert decode(fields[b"j"]) == msgspec.structs.replace(batch[2], id=stored.id)
    fresh = [unique(UniqueUse("new", on_conflict="replace"), b"%d" % n) for n in range(3)]
    answers = await cluster.store_client.producer.submit([Submission(one) for one in fresh])
    assert [one.id for one in answers] == [fresh[0].id] * 3
    assert cluster.totals()["submitted"] == 2


@pytest.mark.parametrize("use", [RETURN, REPLACE], ids=["return", "replace"])
async def test_the_replay_of_an_idempotency_key_repeats_that_it_was_a_duplicate(
    cluster: Cluster, use: UniqueUse
) -> None:
    first = unique(use)
    await submit(cluster, first)
    given = {"idempotency_key": "i", "fingerprint": b"x"}
    assert await submit(cluster, unique(use), **given) == Accepted(first.id, JobState.QUEUED, deduplicated=True)
    again = await submit(cluster, unique(use), **given)
    assert again == Accepted(first.id, JobState.QUEUED, replayed=True, deduplicated=True)


async def test_a_key_of_another_type_refuses_its_own_submissions_alone(cluster: Cluster) -> None:
    cluster.raw.set(cluster.keys.unique("k:a"), "x", ex=60)
    plain = job()
    calls = [submit(cluster, unique(RETURN)), submit(cluster, plain)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(outcomes[0], Exception)
    assert outcomes[1] == Accepted(plain.id, JobState.QUEUED)
