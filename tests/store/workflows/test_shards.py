"""Nodes whose keys lead to another shard than their workflow's."""

from __future__ import annotations

from typing import Any

import pytest

from ironforge.job.limits import Limit
from ironforge.job.record import decode, new_id, shard_of, tail_of
from ironforge.job.uniqueness import UniqueUse
from ironforge.redis.shards import shards_of
from ironforge.store import Submission
from tests.store.kit import HOUR_MS, Cluster, job, job_in
from tests.store.workflows.flow import Flow, submission
from tests.workflows.documents import node, workflow

SHARDS = 3


def key_of(shard: int) -> str:
    return next(f"k{number}" for number in range(100) if tail_of(f"k{number}") % SHARDS == shard)


def limit(key: str) -> dict[str, Any]:
    return {"limits": [{"name": "one", "key": key}]}


@pytest.fixture
async def sharded(server: str) -> Any:
    cluster = Cluster(server)
    cluster.with_settings(shards=SHARDS)
    await cluster.store_client.limits.put("one", Limit(concurrency=1))
    yield cluster
    await cluster.close()


async def begun(cluster: Cluster, *nodes: dict[str, Any], shard: int = 0) -> Flow:
    one = submission(workflow(*nodes), id=new_id(shard))
    await cluster.store_client.workflows.submit([one])
    return Flow(cluster, await cluster.node(), one)


async def deliver(flow: Flow) -> None:
    """Ends are told to workflows in other shards."""
    for part in flow.node.work._parts:  # type: ignore[attr-defined]
        while await part._families.sweep():
            pass
    await flow.see_to()


async def test_nodes_go_where_their_keys_are(sharded: Cluster) -> None:
    nodes = [node(f"n{shard}", options=limit(key_of(shard))) for shard in range(SHARDS)]
    flow = await begun(sharded, *nodes, node("last", "n0", "n1", "n2"))
    assert await flow.started() == ["n0", "n1", "n2"]
    found = {name: shard_of(job_in(each).id, SHARDS) for name, each in flow.deliveries.items()}
    assert found == {"n0": 0, "n1": 1, "n2": 2}
    await flow.end("n0", "n1", "n2")
    await deliver(flow)
    assert await flow.started() == ["last"]


async def test_a_limit_is_one_for_all_workflows(sharded: Cluster) -> None:
    first = await begun(sharded, node("a", options=limit(key_of(1))), shard=0)
    assert await first.started() == ["a"]
    second = await begun(sharded, node("a", options=limit(key_of(1))), shard=2)
    assert await second.started() == []
    assert await second.states() == {"a": "running"}
    await first.end("a")
    assert await second.started() == ["a"]


async def test_a_unique_key_elsewhere_ends_the_node(sharded: Cluster) -> None:
    key = key_of(1)
    other = job(kind="do.a", unique=UniqueUse(key), id=new_id(tail_of(key)))
    await sharded.store_client.producer.submit([Submission(other)])
    options = {"unique": {"key": key, "on_conflict": "return"}}
    flow = await begun(sharded, node("a", options=options, on_failure="continue"), node("b", "a"))
    assert await flow.started() == ["b"]
    view = (await flow.view()).nodes[0]
    assert (view.state, view.reason) == ("cancelled", f"job {other.text_id} has its unique key")


async def test_and_a_place_there_may_be_taken(sharded: Cluster) -> None:
    key = key_of(1)
    other = job(kind="do.a", unique=UniqueUse(key), id=new_id(tail_of(key)))
    await sharded.store_client.producer.submit([Submission(other)])
    flow = await begun(sharded, node("a", options={"unique": {"key": key, "on_conflict": "replace"}}), node("b", "a"))
    assert await flow.started() == ["a"]
    assert (await flow.view()).nodes[0].job_id == other.id
    await flow.end("a")
    await deliver(flow)
    assert await flow.started() == ["b"]


async def test_a_limit_that_is_gone_there_fails_the_node(sharded: Cluster) -> None:
    flow = await begun(sharded, node("a"), node("b", "a", options=limit(key_of(1))))
    await flow.started()
    await sharded.store_client.limits.delete("one")
    await flow.end("a")
    assert await flow.states() == {"a": "succeeded", "b": "failed"}


@pytest.mark.parametrize("how", ["dead", "cancelled"])
async def test_what_is_open_elsewhere_is_cancelled_as_well(sharded: Cluster, how: str) -> None:
    later = {**limit(key_of(1)), "delay_seconds": 60}
    flow = await begun(sharded, node("a"), node("b", options=later))
    assert await flow.started() == ["a"]
    assert (await flow.states())["b"] == "running"
    if how == "dead":
        await flow.end("a", how="dead")
    else:
        await sharded.store_client.workflows.cancel(flow.id)
    await flow.see_to()
    await deliver(flow)
    assert (await flow.states())["b"] == "cancelled"


async def test_a_submission_that_is_repeated_stores_no_job_twice(sharded: Cluster) -> None:
    """One node of the cluster has stored it, and it may have ended, before another one tries again."""
    options = {**limit(key_of(1)), "retain_seconds": 0}
    flow = await begun(sharded, node("a", options=options), node("b", "a"))
    await flow.advance()
    (field,) = [name for name in sharded.raw.hkeys(flow.keys.graph(flow.id.hex())) if name[:1] == b"R"]
    assert field == b"R0"
    item = flow.id + b"0.0"
    # The job is there, and the item as if nobody had got so far as to take it out.
    sharded.raw.zadd(flow.keys.ready, {item: 1})
    await flow.see_to()
    assert await flow.started() == ["a"]
    sharded.raw.zadd(flow.keys.ready, {item: 1})
    await flow.see_to()
    await flow.end("a")
    sharded.raw.zadd(flow.keys.ready, {item: 1})
    await flow.see_to()
    await deliver(flow)
    sharded.raw.zadd(flow.keys.ready, {item: 1})
    await flow.see_to()
    assert await flow.started() == ["b"]


async def test_the_record_of_a_job_elsewhere_stays_for_a_while(sharded: Cluster) -> None:
    flow = await begun(sharded, node("a", options={**limit(key_of(1)), "retain_seconds": 0}))
    await flow.started()
    assert 600_000 <= (decode(flow.deliveries["a"][2]).retain_ms or 0) <= HOUR_MS
    assert shards_of(sharded.settings)[1].index != flow.keys.index


async def test_a_torn_workflow_keeps_no_other_from_going_there(sharded: Cluster) -> None:
    torn = await begun(sharded, node("a", options=limit(key_of(1))))
    await torn.node.work._parts[0]._advancer._advance()  # type: ignore[attr-defined]
    key = torn.keys.results(torn.id.hex())
    sharded.raw.set(key, "x")
    flow = await begun(sharded, node("a", options=limit(key_of(2))))
    await flow.see_to()
    assert await flow.states() == {"a": "running"}
    sharded.raw.delete(key)
