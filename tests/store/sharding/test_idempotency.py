"""An idempotency key yields to the unique key or limit of its job, and stands for one submission all the same."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from ironforge.errors import Duplicate, IdempotencyConflict, InvalidJob, QueueFull, StoreError
from ironforge.job.record import Job, JobState, format_id, new_id, shard_of, tail_of
from ironforge.redis.shards import shards_of
from ironforge.store import Accepted, Submission
from ironforge.store.contract import Producer
from ironforge.store.producer.routes import answer_key
from tests.store.kit import Cluster, job
from tests.store.sharding.kit import SHARDS, lengths, limited, stored, text_in, unique

# The shard of the idempotency key, and others.
HOME, THERE, ELSEWHERE = 0, 1, 2
KEY = text_in(HOME, "key")


async def submit(cluster: Cluster | Producer, one: Job, content: bytes = b"a", key: str = KEY) -> Accepted:
    producer = cluster.store_client.producer if isinstance(cluster, Cluster) else cluster
    [answer] = await producer.submit([Submission(one, idempotency_key=key, fingerprint=content)])
    return answer


@pytest.mark.parametrize("make", [unique, limited])
@pytest.mark.parametrize("shard", range(SHARDS))
async def test_a_job_lies_where_its_key_lies_and_its_repetition_is_answered(
    with_limits: Cluster, make: Callable[[str], Job], shard: int
) -> None:
    first = await submit(with_limits, make(text_in(shard)))
    assert [len(jobs) for jobs in stored(with_limits)] == [int(at == shard) for at in range(SHARDS)]
    assert shard_of(first.id, SHARDS) == shard
    assert await submit(with_limits, make(text_in(shard))) == first._replace(replayed=True)
    assert sum(lengths(with_limits)) == 1


@pytest.mark.parametrize("other", [unique(text_in(ELSEWHERE)), unique(text_in(THERE)), job(), limited("")])
async def test_another_content_under_the_same_key_is_a_conflict_wherever_it_would_lie(
    with_limits: Cluster, other: Job
) -> None:
    first = await submit(with_limits, unique(text_in(THERE)))
    with pytest.raises(IdempotencyConflict) as caught:
        await submit(with_limits, other, b"b")
    assert caught.value.job_id == format_id(first.id)
    assert sum(lengths(with_limits)) == 1


async def test_what_was_answered_before_its_kind_had_a_key_is_answered_again(sharded: Cluster) -> None:
    first = await submit(sharded, job(id=new_id(tail_of(KEY))))
    assert await submit(sharded, unique(text_in(THERE))) == first._replace(replayed=True)
    with pytest.raises(IdempotencyConflict):
        await submit(sharded, unique(text_in(ELSEWHERE)), b"b")
    assert sum(lengths(sharded)) == 1


async def test_what_was_answered_while_its_kind_had_another_key_is_answered_again(sharded: Cluster) -> None:
    first = await submit(sharded, unique(text_in(THERE)))
    for other in (unique(text_in(ELSEWHERE)), job(id=new_id(tail_of(KEY)))):
        assert await submit(sharded, other) == first._replace(replayed=True)
    assert sum(lengths(sharded)) == 1


async def test_a_repetition_repeats_that_the_job_was_there(sharded: Cluster) -> None:
    text = text_in(THERE)
    owner = await submit(sharded, unique(text), key="first")
    first = await submit(sharded, unique(text))
    assert first == Accepted(owner.id, JobState.QUEUED, deduplicated=True)
    await sharded.store_client.producer.cancel(owner.id)
    assert await submit(sharded, unique(text)) == first._replace(replayed=True)
    assert sum(lengths(sharded)) == 0


async def test_what_was_refused_may_be_tried_again(sharded: Cluster) -> None:
    text = text_in(THERE)
    owner = await submit(sharded, unique(text), key="first")
    for _ in range(2):
        with pytest.raises(Duplicate) as caught:
            await submit(sharded, unique(text, "reject"))
        assert caught.value.job_id == format_id(owner.id)
    await sharded.store_client.producer.cancel(owner.id)
    second = await submit(sharded, unique(text, "reject"))
    assert second.replayed is False
    assert await submit(sharded, unique(text, "reject")) == second._replace(replayed=True)


@pytest.mark.parametrize("shard", range(SHARDS))
async def test_what_was_refused_leaves_its_key_to_other_contents(with_limits: Cluster, shard: int) -> None:
    with pytest.raises(InvalidJob, match="there is no limit none"):
        await submit(with_limits, limited(text_in(THERE), "none"))
    corrected = await submit(with_limits, limited(text_in(shard)), b"b")
    assert shard_of(corrected.id, SHARDS) == shard
    with pytest.raises(IdempotencyConflict):
        await submit(with_limits, limited(text_in(THERE)))
    assert await submit(with_limits, limited(text_in(shard)), b"b") == corrected._replace(replayed=True)
    assert sum(lengths(with_limits)) == 1


async def test_a_key_may_move_to_and_fro_while_nothing_is_stored(with_limits: Cluster) -> None:
    for shard in (THERE, ELSEWHERE, HOME, THERE, HOME, ELSEWHERE, THERE):
        with pytest.raises(InvalidJob, match="there is no limit none"):
            await submit(with_limits, limited(text_in(shard), "none"), str(shard).encode())
    plain = await submit(with_limits, job(id=new_id(tail_of(KEY))))
    assert shard_of(plain.id, SHARDS) == HOME
    assert await submit(with_limits, unique(text_in(ELSEWHERE))) == plain._replace(replayed=True)


async def test_a_full_queue_takes_it_later(sharded: Cluster) -> None:
    sharded.with_settings(max_queue_length=1)
    text = text_in(THERE)
    filling = job(id=new_id(THERE))
    await sharded.submit(filling)
    with pytest.raises(QueueFull):
        await submit(sharded, unique(text))
    await sharded.store_client.producer.cancel(filling.id)
    assert (await submit(sharded, unique(text))).replayed is False


async def test_an_id_of_ones_own_goes_together_with_a_key(sharded: Cluster) -> None:
    one = job(id=new_id(ELSEWHERE))
    item = Submission(one, idempotency_key=KEY, fingerprint=b"a", again=True)
    first, again = [(await sharded.store_client.producer.submit([item]))[0] for _ in range(2)]
    assert first == Accepted(one.id, JobState.QUEUED)
    assert again == first._replace(replayed=True)
    with pytest.raises(IdempotencyConflict):
        await submit(sharded, job(id=new_id(tail_of(KEY))), b"b")


async def test_a_batch_of_one_key_lies_together_and_is_repeated_as_a_whole(with_limits: Cluster) -> None:
    def batch() -> list[Submission]:
        jobs = [job(), limited(text_in(THERE)), unique(text_in(THERE)), unique(text_in(THERE))]
        return [Submission(one, None, None, KEY, b"a", place) for place, one in enumerate(jobs)]

    submit_all = with_limits.store_client.producer.submit
    first = await submit_all(batch())
    assert [answer.deduplicated for answer in first] == [False, False, False, True]
    assert lengths(with_limits) == [0, 3, 0]
    assert await submit_all(batch()) == [answer._replace(replayed=True) for answer in first]
    with pytest.raises(IdempotencyConflict):
        await submit_all([msgspec.structs.replace(item, fingerprint=b"b") for item in batch()])
    assert lengths(with_limits) == [0, 3, 0]


async def test_jobs_of_a_batch_may_have_keys_of_their_own(sharded: Cluster) -> None:
    keys = [text_in(shard, "own") for shard in range(SHARDS)]

    def batch() -> list[Submission]:
        return [Submission(unique(text_in(THERE), kind=key), None, None, key, b"a") for key in keys]

    submit_all = sharded.store_client.producer.submit
    known = (await submit_all(batch()[:1]))[0]
    first = await submit_all(batch())
    assert first[0] == known._replace(replayed=True)
    assert [answer.replayed for answer in first] == [True, False, False]
    assert await submit_all(batch()) == [answer._replace(replayed=True) for answer in first]
    assert lengths(sharded) == [0, 3, 0]


async def test_a_conflict_in_another_shard_refuses_the_whole_batch(sharded: Cluster) -> None:
    await submit(sharded, unique(text_in(ELSEWHERE)))
    fresh = Submission(unique(text_in(THERE)), idempotency_key="fresh")
    known = Submission(unique(text_in(THERE), kind="other"), idempotency_key=KEY, fingerprint=b"b")
    with pytest.raises(IdempotencyConflict):
        await sharded.store_client.producer.submit([fresh, known])
    assert lengths(sharded) == [0, 0, 1]


async def test_an_answer_that_was_given_elsewhere_is_one_of_a_batch(sharded: Cluster) -> None:
    known = await submit(sharded, unique(text_in(ELSEWHERE)))
    items = [
        Submission(unique(text_in(THERE)), idempotency_key="fresh", fingerprint=b"a"),
        Submission(unique(text_in(THERE), kind="other"), idempotency_key=KEY, fingerprint=b"a"),
    ]
    first, second = await sharded.store_client.producer.submit(items)
    assert (first.replayed, second) == (False, known._replace(replayed=True))
    assert lengths(sharded) == [0, 1, 1]


async def test_a_refusal_says_which_job_of_the_whole_batch_it_means(with_limits: Cluster) -> None:
    known = await submit(with_limits, unique(text_in(ELSEWHERE)))
    answered = Submission(unique(text_in(THERE), kind="other"), idempotency_key=KEY, fingerprint=b"a")
    own = Submission(job(id=new_id(ELSEWHERE)), again=True)
    wrong = Submission(limited(text_in(THERE), "none"), idempotency_key="fresh")
    with pytest.raises(InvalidJob, match="there is no limit none") as caught:
        await with_limits.store_client.producer.submit([own, answered, wrong])
    assert caught.value.index == 2
    assert {one.id for jobs in stored(with_limits) for one in jobs} == {known.id, own.job.id}


async def test_a_route_is_forgotten_as_its_answer_is(sharded: Cluster) -> None:
    sharded.with_settings(idempotency_seconds=1_000.0)
    await submit(sharded, unique(text_in(THERE)))
    keys = [answer_key(keys, KEY) for keys in shards_of(sharded.settings)]
    assert [900 < sharded.raw.ttl(key) <= 1_000 for key in keys] == [True, True, False]
    sharded.raw.delete(*keys)
    assert (await submit(sharded, unique(text_in(ELSEWHERE)), b"b")).replayed is False


async def test_an_answer_that_expires_on_the_way_is_given_anew(sharded: Cluster) -> None:
    await submit(sharded, unique(text_in(THERE)))
    home, there, _ = (answer_key(keys, KEY) for keys in shards_of(sharded.settings))
    sharded.raw.delete(there)
    assert sharded.raw.get(home) == b"1:1"
    answer = await submit(sharded, unique(text_in(ELSEWHERE)), b"b")
    assert shard_of(answer.id, SHARDS) == ELSEWHERE
    assert sharded.raw.get(there) == sharded.raw.get(home) == b"2:2"


@pytest.mark.parametrize("value", [b"", b"1:", b"x" * 5])
async def test_a_damaged_route_refuses_its_key_in_words(sharded: Cluster, value: bytes) -> None:
    sharded.raw.set(answer_key(shards_of(sharded.settings)[HOME], KEY), value, ex=60)
    for one in (unique(text_in(THERE)), job(id=new_id(tail_of(KEY)))):
        with pytest.raises(StoreError, match="holds no answer: delete it"):
            await submit(sharded, one)
    assert sum(lengths(sharded)) == 0
