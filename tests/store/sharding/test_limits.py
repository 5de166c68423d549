"""Limits of a namespace with several shards: a key lies in the shard of its text."""

from __future__ import annotations

import pytest

from ironforge.errors import InvalidJob
from ironforge.job.limits import Limit, LimitUse
from ironforge.job.record import new_id, tail_of
from tests.store.kit import Cluster, completed, ids_in, job

SHARDS = 3


@pytest.fixture
async def sharded(cluster: Cluster) -> Cluster:
    cluster.with_settings(shards=SHARDS)
    await cluster.store_client.limits.put("one", Limit(concurrency=1))
    return cluster


@pytest.mark.parametrize("key", ["a", ""])
async def test_a_key_is_one_however_many_shards_there_are(sharded: Cluster, key: str) -> None:
    node = await sharded.node()
    jobs = [job(id=new_id(tail_of(key)), limits=(LimitUse("one", key),)) for _ in range(3)]
    await sharded.submit(*jobs)
    order = []
    while deliveries := await node.work.fetch(10):
        assert len(deliveries) == 1
        assert (await sharded.store_client.limits.key("one", key)).running == 1
        order += ids_in(deliveries)
        await node.work.settle([completed(deliveries[0])])
    assert order == [one.id for one in jobs]


async def test_a_job_lies_where_its_key_lies_or_is_refused(sharded: Cluster) -> None:
    astray = new_id((tail_of("a") + 1) % SHARDS)
    with pytest.raises(InvalidJob) as caught:
        await sharded.submit(job(id=astray, limits=(LimitUse("one", "a"),)))
    assert caught.value.code == "keys_apart"


@pytest.mark.parametrize("others", [("b",), ("",)])
async def test_keys_of_different_text_are_refused_wherever_they_lie(sharded: Cluster, others: tuple[str, ...]) -> None:
    jobs = [job(id=new_id(tail_of(key)), limits=(LimitUse("one", key),)) for key in ("a", *others)]
    with pytest.raises(InvalidJob) as caught:
        await sharded.submit(*jobs)
    assert caught.value.code == "keys_apart"
    assert (await sharded.store_client.inspector.stats()).totals["submitted"] == 0
