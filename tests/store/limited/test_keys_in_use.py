"""Keys of limits that jobs wait for or hold: how many there may be, and that a key goes with its last job."""

from __future__ import annotations

import pytest

from ironforge.errors import QuotaExceeded
from ironforge.job.limits import Limit, LimitUse
from ironforge.store import Submission
from ironforge.store.contract import Most
from tests.store.kit import Cluster, job, limited, settle

TWO = Most(queues=1_000, limit_keys=2)


def in_use(cluster: Cluster) -> set[bytes]:
    return set(cluster.raw.hkeys(cluster.keys.in_use))


async def refused(cluster: Cluster, *keys: str) -> QuotaExceeded:
    batch = [Submission(one) for key in keys for one in limited(1, key)]
    with pytest.raises(QuotaExceeded) as caught:
        await cluster.store_client.producer.submit(batch, most=TWO)
    return caught.value


async def test_no_more_keys_are_in_use_than_there_may_be_and_a_batch_is_all_or_none(one: Cluster) -> None:
    for key in ("a", "b", "a"):
        await one.store_client.producer.submit([Submission(limited(1, key)[0])], most=TWO)
    error = await refused(one, "a", "c")
    assert (error.quota, error.current, error.limit, error.field) == ("namespace.limit_keys", 2, 2, "limits")
    assert error.hint is not None
    assert "3 of" not in str(error)
    assert str(error).startswith("the namespace may have 2 keys of limits in use, it has 2, and 1 more do not fit")
    assert one.raw.hlen(one.keys.index) == 3


async def test_a_key_makes_room_when_its_last_job_has_ended(one: Cluster) -> None:
    node = await one.node()
    await one.submit(*limited(2, "a"), *limited(1, "b"))
    for left in ({b"one\na"}, set()):
        await settle(node, await node.work.fetch(10))
        await node.work.fetch(0)
        assert in_use(one) >= left
    await settle(node, await node.work.fetch(10))
    assert await node.work.fetch(10) == []
    assert in_use(one) == set()
    await one.store_client.producer.submit([Submission(one_job) for one_job in limited(2, "c")], most=TWO)


async def test_keys_of_all_limits_of_a_job_count(one: Cluster) -> None:
    await one.store_client.limits.put("other", Limit(concurrency=5))
    both = job(limits=(LimitUse("one", "a"), LimitUse("other", "b")))
    await one.store_client.producer.submit([Submission(both)], most=TWO)
    node = await one.node()
    (held,) = await node.work.fetch(10)
    assert in_use(one) == {b"one\na", b"other\nb"}
    assert (await refused(one, "c")).current == 2
    await settle(node, [held])
    assert await node.work.fetch(10) == []
    assert in_use(one) == set()


async def test_one_refused_submission_does_not_refuse_others_of_the_same_flight(one: Cluster) -> None:
    producer = one.store_client.producer
    await producer.submit([Submission(one_job) for key in "ab" for one_job in limited(1, key)])
    known, fresh = limited(1, "a")[0], limited(1, "c")[0]
    answers = [producer.submit([Submission(each)], most=TWO) for each in (known, fresh)]
    assert len(await answers[0]) == 1
    with pytest.raises(QuotaExceeded):
        await answers[1]


async def test_a_definition_that_changes_nothing_looks_at_no_keys(one: Cluster) -> None:
    await one.submit(*limited(1, "a"))
    one.raw.delete(one.keys.room)
    await one.store_client.limits.put("one", Limit(concurrency=1))
    assert one.raw.smembers(one.keys.room) == set()
    await one.store_client.limits.put("one", Limit(concurrency=2))
    assert one.raw.smembers(one.keys.room) == {b"one\na"}
    one.raw.delete(one.keys.room)
