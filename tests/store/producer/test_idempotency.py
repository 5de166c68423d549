"""Idempotency keys: the first answer stands, for one job and for a batch, and a damaged one harms nobody else."""

from __future__ import annotations

import asyncio
import hashlib

import msgspec
import pytest

from ironforge.errors import IdempotencyConflict, IncompatibleRecord, StoreError
from ironforge.job.record import JobState, format_id
from ironforge.store import Accepted, Submission
from tests.store.kit import Cluster, job


async def test_a_key_makes_the_first_answer_stand(cluster: Cluster) -> None:
    submit = cluster.store_client.producer.submit
    first, second = job(), job()
    await submit([Submission(first, idempotency_key="order-1", fingerprint=b"a", delay_ms=60_000)])
    answers = await submit([Submission(second, idempotency_key="order-1", fingerprint=b"a", delay_ms=60_000)])
    key = cluster.keys.idempotency(hashlib.sha256(b"order-1").hexdigest())
    assert answers == [Accepted(first.id, JobState.SCHEDULED, replayed=True)]
    assert set(cluster.raw.hkeys(cluster.keys.index)) == {first.id}
    assert 86_000 < cluster.raw.ttl(key) <= 86_400


async def test_a_key_with_another_content_is_a_conflict_and_nothing_is_stored(cluster: Cluster) -> None:
    submit = cluster.store_client.producer.submit
    first = job()
    await submit([Submission(first, idempotency_key="k", fingerprint=b"a")])
    before = cluster.snapshot()
    with pytest.raises(IdempotencyConflict) as caught:
        await submit([Submission(job()), Submission(job(), idempotency_key="k", fingerprint=b"b")])
    assert caught.value.job_id == format_id(first.id)
    assert cluster.snapshot() == before


async def test_a_key_that_an_older_version_stored_answers_a_repetition(cluster: Cluster) -> None:
    submit = cluster.store_client.producer.submit
    first = job()
    await submit([Submission(first, idempotency_key="k", fingerprint=b"former")])
    again = Submission(job(), idempotency_key="k", fingerprint=b"a", former_fingerprint=b"former")
    assert await submit([again]) == [Accepted(first.id, JobState.QUEUED, replayed=True)]
    with pytest.raises(IdempotencyConflict):
        await submit([msgspec.structs.replace(again, former_fingerprint=b"b")])


async def test_the_same_key_twice_in_a_batch_is_one_job(cluster: Cluster) -> None:
    first, second = job(), job()
    batch = [Submission(one, idempotency_key="k", fingerprint=b"a") for one in (first, second)]
    answers = await cluster.store_client.producer.submit(batch)
    assert [answer.id for answer in answers] == [first.id, first.id]
    assert [answer.replayed for answer in answers] == [False, True]
    assert set(cluster.entries()) == {first.id}


async def test_a_batch_with_one_key_is_answered_job_by_job_and_keeps_one_small_key(cluster: Cluster) -> None:
    submit = cluster.store_client.producer.submit

    def batch(count: int, mark: bytes = b"a") -> list[Submission]:
        due = [60_000 if place % 3 == 1 else None for place in range(count)]
        return [Submission(job(), delay, None, "k", mark, place) for place, delay in enumerate(due)]

    first = await submit(batch(300))
    assert [answer.replayed for answer in first] == [False] * 300
    again = await submit(batch(300))
    assert again == [one._replace(replayed=True) for one in first]
    assert cluster.raw.hlen(cluster.keys.index) == 300
    assert [answer._replace(replayed=False) for answer in await submit(batch(7))] == first[:7]
    before = cluster.snapshot()
    for other in (batch(301), batch(300, b"b"), batch(1, b"b")):
        with pytest.raises(IdempotencyConflict) as caught:
            await submit(other)
        assert caught.value.job_id == format_id(first[0].id)
    assert cluster.snapshot() == before
    key = cluster.keys.idempotency(hashlib.sha256(b"k").hexdigest())
    assert cluster.raw.strlen(key) == 16 + 17 * 300


async def test_one_key_with_two_contents_in_a_batch_is_a_conflict(cluster: Cluster) -> None:
    one, other = job(), job()
    with pytest.raises(IdempotencyConflict) as caught:
        await cluster.store_client.producer.submit(
            [Submission(one, None, None, "k", b"a"), Submission(other, None, None, "k", b"b", 1)]
        )
    assert caught.value.job_id == format_id(one.id)
    assert cluster.snapshot() == {}


@pytest.mark.parametrize("value", [b"", b"\xff" * 15, b"x" * 34, b"1" * 1_000_001])
async def test_a_damaged_answer_refuses_its_key_in_words(cluster: Cluster, value: bytes) -> None:
    key = cluster.keys.idempotency(hashlib.sha256(b"k").hexdigest())
    cluster.raw.set(key, value, ex=60)
    before = cluster.snapshot()
    with pytest.raises(StoreError, match="holds no answer: delete it"):
        await cluster.store_client.producer.submit([Submission(job(), idempotency_key="k")])
    assert cluster.snapshot() == before
    cluster.raw.set(key, b"\xff" * 33, ex=60)
    with pytest.raises(IdempotencyConflict):
        await cluster.store_client.producer.submit([Submission(job(), idempotency_key="k")])


async def test_a_damaged_state_in_an_answer_fails_its_own_caller_alone(cluster: Cluster) -> None:
    submit = cluster.store_client.producer.submit
    await submit([Submission(job(), idempotency_key="k")])
    cluster.raw.setrange(cluster.keys.idempotency(hashlib.sha256(b"k").hexdigest()), 16, b"\xff")
    plain = job()
    outcomes = await asyncio.gather(
        submit([Submission(plain)]), submit([Submission(job(), idempotency_key="k")]), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [list, IncompatibleRecord]
    assert plain.id in set(cluster.entries())
