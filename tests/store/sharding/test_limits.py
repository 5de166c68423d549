"""Limits of a namespace with several shards: a key lies in the shard of its text."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from ironforge.errors import InvalidJob
from ironforge.job.limits import Limit, LimitUse
from ironforge.job.record import Job, new_id, shard_of, tail_of
from ironforge.store import Submission
from tests.store.kit import Cluster, completed, ids_in, job
from tests.store.sharding.kit import SHARDS, fetched, lengths, limited, text_in, unique

A = text_in(0)
# Other texts, of which one lies with `A` and one does not.
NEAR, FAR = text_in(0, "near"), text_in(1, "far")


@pytest.mark.parametrize("key", ["a", ""])
async def test_a_key_is_one_however_many_shards_there_are(with_limits: Cluster, key: str) -> None:
    node = await with_limits.node()
    jobs = [job(id=new_id(tail_of(key)), limits=(LimitUse("one", key),)) for _ in range(3)]
    await with_limits.submit(*jobs)
    order: list[bytes] = []
    while len(order) < len(jobs):
        deliveries = await fetched(node, 1)
        assert len(deliveries) == 1
        assert (await with_limits.store_client.limits.key("one", key)).running == 1
        order += ids_in(deliveries)
        await node.work.settle([completed(deliveries[0])])
    assert order == [one.id for one in jobs]


async def test_an_id_of_ones_own_that_lies_elsewhere_than_the_key_is_refused(with_limits: Cluster) -> None:
    own = limited("a", id=new_id((tail_of("a") + 1) % SHARDS))
    with pytest.raises(InvalidJob) as caught:
        await with_limits.store_client.producer.submit([Submission(own, again=True)])
    assert (caught.value.code, caught.value.field) == ("invalid_job_id", "id")
    fitting = msgspec.structs.replace(own, id=new_id(tail_of("a")))
    [answer] = await with_limits.store_client.producer.submit([Submission(fitting, again=True)])
    assert answer.id == fitting.id


def both(unique_key: str, *limit_keys: str) -> Job:
    uses = tuple(LimitUse(name, key) for name, key in zip(("one", "two"), limit_keys, strict=False))
    return msgspec.structs.replace(unique(unique_key), limits=uses)


@pytest.mark.parametrize("other", [NEAR, FAR, ""])
@pytest.mark.parametrize(
    "jobs",
    [
        lambda key: [limited(A), limited(key)],
        lambda key: [unique(A), unique(key, kind="other")],
        lambda key: [unique(A), limited(key)],
        lambda key: [both(A, key)],
        lambda key: [both(A, A, key)],
    ],
)
async def test_keys_of_different_text_are_refused_wherever_they_lie(
    with_limits: Cluster, jobs: Callable[[str], list[Job]], other: str
) -> None:
    with pytest.raises(InvalidJob, match="must have the same key") as caught:
        await with_limits.submit(*jobs(other))
    assert caught.value.code == "keys_apart"
    assert lengths(with_limits) == [0] * SHARDS


async def test_a_limit_without_a_key_is_named_where_it_does_not_go_together_with_one(with_limits: Cluster) -> None:
    with pytest.raises(InvalidJob, match=rf"these have 2 \(no key, '{A}'\)") as caught:
        await with_limits.submit(job(limits=(LimitUse("one"), LimitUse("two", A))))
    assert caught.value.field == "limits"
    with pytest.raises(InvalidJob, match=rf"these have 2 \(no key, '{A}'\)") as caught:
        await with_limits.submit(both(A, ""))
    assert caught.value.field == "unique"


async def test_one_text_may_be_the_key_of_all(with_limits: Cluster) -> None:
    await with_limits.store_client.limits.put("two", Limit(concurrency=1))
    await with_limits.submit(both(FAR, FAR, FAR), job(), limited(FAR))
    assert lengths(with_limits) == [0, 3, 0]


async def test_jobs_without_a_key_lie_with_those_of_their_batch_that_have_one(with_limits: Cluster) -> None:
    own = job(id=new_id(2))
    items = [Submission(job(id=new_id(0))), Submission(limited(FAR)), Submission(own, again=True)]
    answers = await with_limits.store_client.producer.submit(items)
    assert [shard_of(answer.id, SHARDS) for answer in answers] == [1, 1, 2]
    assert answers[2].id == own.id
