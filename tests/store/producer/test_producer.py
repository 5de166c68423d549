"""Submitting: all or none, once per id and per key, and only what the durability mode confirmed."""

from __future__ import annotations

import asyncio

import pytest
import redis

from ironforge.errors import IdempotencyConflict, StoreError, StoreUnavailable
from ironforge.job.record import Job, JobState, encode
from ironforge.store import Accepted, Submission
from tests.store.kit import Cluster, completed, dead, job, now_ms


async def test_a_fresh_job_is_one_entry_and_one_index_field(cluster: Cluster) -> None:
    one = job()
    answers = await cluster.store_client.producer.submit([Submission(one)])
    ((entry, fields),) = cluster.raw.xrange(cluster.keys.stream("default:2"))
    assert answers == [Accepted(one.id, JobState.QUEUED)]
    assert fields == {b"j": encode(one)}
    assert cluster.raw.hgetall(cluster.keys.index) == {one.id: b"q:default:2:" + entry}
    assert cluster.totals() == {"submitted": 1}
    assert cluster.raw.smembers(cluster.keys.queues) == {b"default"}


async def test_an_empty_batch_is_answered_without_a_server(cluster: Cluster) -> None:
    assert await cluster.store_client.producer.submit([]) == []


async def test_a_delayed_job_waits_in_the_schedule_by_the_servers_clock(cluster: Cluster) -> None:
    one, before = job(), now_ms()
    answers = await cluster.store_client.producer.submit([Submission(one, delay_ms=60_000)])
    ((job_id, due),) = cluster.raw.zrange(cluster.keys.scheduled, 0, -1, withscores=True)
    assert answers == [Accepted(one.id, JobState.SCHEDULED)]
    assert job_id == one.id
    assert before <= due - 60_000 <= now_ms()
    assert cluster.raw.hget(cluster.keys.parked, one.id) == encode(one)
    assert cluster.raw.hget(cluster.keys.index, one.id) == b"s:default:2"


@pytest.mark.parametrize("options", [{"run_at_ms": 1}, {"delay_ms": 0}], ids=["past", "no delay"])
async def test_what_is_due_already_is_queued(cluster: Cluster, options: dict[str, int]) -> None:
    one = job()
    answers = await cluster.store_client.producer.submit([Submission(one, **options)])
    assert answers == [Accepted(one.id, JobState.QUEUED)]
    assert await cluster.state(one) == JobState.QUEUED


async def test_a_large_mixed_batch_is_answered_in_its_order(cluster: Cluster) -> None:
    jobs = [job(queue=f"q{n % 3}", priority=n % 4) for n in range(2_500)]
    due = now_ms() + 60_000
    batch = [Submission(one, run_at_ms=due if n % 5 == 0 else None) for n, one in enumerate(jobs)]
    answers = await cluster.store_client.producer.submit(batch)
    expected = [JobState.SCHEDULED if n % 5 == 0 else JobState.QUEUED for n in range(2_500)]
    assert [(answer.id, answer.state) for answer in answers] == [
        (one.id, state) for one, state in zip(jobs, expected, strict=True)
    ]
    assert len(cluster.entries()) == 2_000
    assert cluster.raw.zcard(cluster.keys.scheduled) == 500


async def test_again_answers_known_ids_with_their_present_state(cluster: Cluster) -> None:
    jobs = [job() for _ in range(5)]
    done, gone, running, queued, later = jobs
    await cluster.submit(done, gone, running, queued)
    await cluster.submit(later, delay_ms=60_000)
    node = await cluster.node()
    deliveries = await node.work.fetch(3)
    await node.work.settle([completed(deliveries[0])])
    await node.work.bury([dead(deliveries[1])])
    await cluster.store_client.producer.cancel(running.id)
    new = job()
    answers = await cluster.store_client.producer.submit([Submission(one, again=True) for one in (*jobs, new)])
    states = [JobState.COMPLETED, JobState.DEAD, JobState.RUNNING, JobState.QUEUED, JobState.SCHEDULED]
    assert [answer.state for answer in answers] == [*states, JobState.QUEUED]
    assert [answer.replayed for answer in answers] == [True] * 5 + [False]
    assert set(cluster.entries()) == {running.id, queued.id, new.id}


async def test_concurrent_submissions_share_a_script_call_and_each_gets_its_own_answer(cluster: Cluster) -> None:
    submit = cluster.store_client.producer.submit
    await submit([Submission(job())])
    cluster.raw.config_resetstat()
    jobs = [job() for _ in range(200)]
    answers = await asyncio.gather(*(submit([Submission(one)]) for one in jobs))
    calls = cluster.raw.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert answers == [[Accepted(one.id, JobState.QUEUED)] for one in jobs]
    assert calls <= 2


async def test_one_callers_conflict_does_not_touch_the_others(cluster: Cluster) -> None:
    submit = cluster.store_client.producer.submit
    await submit([Submission(job(), idempotency_key="k", fingerprint=b"a")])
    plain, keyed = job(), job()
    outcomes = await asyncio.gather(
        submit([Submission(plain)]),
        submit([Submission(job(), idempotency_key="k", fingerprint=b"b")]),
        submit([Submission(keyed, idempotency_key="other")]),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [list, IdempotencyConflict, list]
    assert {plain.id, keyed.id} <= set(cluster.entries())


async def test_a_flight_is_bounded_and_the_rest_takes_the_next_one(cluster: Cluster) -> None:
    submit = cluster.store_client.producer.submit
    batches = [[Submission(job()) for _ in range(600)] for _ in range(4)]
    await asyncio.gather(*(submit(batch) for batch in batches))
    assert len(cluster.entries()) == 2_400


async def test_a_caller_that_gives_up_does_not_take_the_flight_down(cluster: Cluster) -> None:
    submit = cluster.store_client.producer.submit
    kept, abandoned = job(), job()
    waiting = [asyncio.create_task(submit([Submission(one)])) for one in (kept, abandoned)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert outcomes[0] == [Accepted(kept.id, JobState.QUEUED)]
    assert isinstance(outcomes[1], asyncio.CancelledError)


async def test_a_connection_lost_while_idle_costs_no_submission(cluster: Cluster) -> None:
    await cluster.submit(job())
    cluster.raw.client_kill_filter(_type="normal", skipme=True)
    one = job()
    answers = await cluster.store_client.producer.submit([Submission(one)])
    assert answers == [Accepted(one.id, JobState.QUEUED)]
    assert len(cluster.entries()) == 2


@pytest.mark.parametrize("key", [None, "k"])
async def test_a_repetition_after_a_lost_answer_stores_nothing_twice(cluster: Cluster, key: str | None) -> None:
    producer = cluster.store_client.producer
    flights = producer._group_commit
    one = job()
    send, lost = flights._send, []

    async def lose_the_first_answer(calls):
        replies = await send(calls)
        if not lost:
            lost.append(replies)
            raise redis.ConnectionError
        return replies

    flights._send = lose_the_first_answer
    answers = await producer.submit([Submission(one, idempotency_key=key)])
    assert answers == [Accepted(one.id, JobState.QUEUED)]
    assert set(cluster.entries()) == {one.id}
    assert cluster.totals() == {"submitted": 1}


async def test_the_script_is_sent_again_when_the_server_forgot_it(cluster: Cluster) -> None:
    cluster.raw.script_flush()
    await cluster.submit(job())
    cluster.raw.script_flush()
    await cluster.submit(job())
    assert len(cluster.entries()) == 2


async def test_a_shortfall_of_replicas_is_told_and_leaves_the_job_where_a_repetition_finds_it(
    cluster: Cluster,
) -> None:
    cluster.with_settings(durability="replicated", replicas=1)
    cluster.raw.script_flush()
    one = job()
    with pytest.raises(StoreUnavailable) as caught:
        await cluster.submit(one)
    assert caught.value.code == "durability_not_confirmed"
    assert set(cluster.entries()) == {one.id}


async def test_closing_answers_whoever_still_waits(cluster: Cluster) -> None:
    store_client = cluster.open_doors()
    waiting = asyncio.create_task(store_client.producer.submit([Submission(job())]))
    await asyncio.sleep(0)
    await store_client.close()
    with pytest.raises(StoreUnavailable):
        await waiting


async def test_the_earliest_due_job_is_shouted(cluster: Cluster) -> None:
    with cluster.raw.pubsub() as ears:
        ears.subscribe(cluster.keys.signals)
        ears.get_message(timeout=5)
        for delay_ms in (50_000, 90_000, 20_000):
            await cluster.submit(job(), delay_ms=delay_ms)
        heard = [ears.get_message(timeout=5)["data"] for _ in range(2)]
    assert heard == [b"due:50000", b"due:20000"]


async def test_records_are_opaque_to_the_script(cluster: Cluster) -> None:
    hostile = Job(1, job().id, "k", "default", 2, bytes(range(256)) * 4, 1)
    await cluster.submit(hostile)
    assert (await cluster.store_client.inspector.get(hostile.id)).job == hostile


async def test_confirmed_by_enough_replicas_is_an_answer(cluster: Cluster) -> None:
    cluster.with_settings(durability="replicated", replicas=0)
    one = job()
    assert await cluster.store_client.producer.submit([Submission(one)]) == [Accepted(one.id, JobState.QUEUED)]


async def test_a_server_that_cannot_confirm_fails_the_flight_and_its_passengers_alone(cluster: Cluster) -> None:
    cluster.with_settings(durability="replicated", replicas=1)
    submit = cluster.store_client.producer.submit
    cluster.raw.acl_setuser("default", commands=["-wait"], enabled=True)
    try:
        waiting = [asyncio.create_task(submit([Submission(job())])) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    finally:
        cluster.raw.acl_setuser("default", commands=["+wait"], enabled=True)
    assert [type(outcome) for outcome in outcomes] == [StoreError, asyncio.CancelledError]
