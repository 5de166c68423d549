"""Nodes with options of their own: what holds for a job holds for a node."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ironforge.job.limits import Limit, Rate
from ironforge.job.record import JobState
from ironforge.job.uniqueness import UniqueUse
from tests.store.kit import HOUR_MS, Cluster, job, job_in, limited, now_ms, settle
from tests.store.workflows.flow import Flow, submitted
from tests.workflows.documents import node

ONE = {"limits": [{"name": "one", "key": "a"}]}


def unique(on_conflict: str, key: str = "k") -> dict[str, Any]:
    return {"unique": {"key": key, "on_conflict": on_conflict}}


def holder(kind: str, key: str = "k", **fields: Any) -> Any:
    return job(kind=kind, unique=UniqueUse(key), **fields)


async def reasons(flow: Flow) -> dict[str, str]:
    return {node.id: node.reason for node in (await flow.view()).nodes if node.reason}


# --------------------------------------------------------------------------- when it starts


async def test_a_delay_counts_from_when_a_node_may_start(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), node("b", "a", options={"delay_seconds": 60}))
    assert await flow.started() == ["a"]
    before = now_ms()
    await flow.end("a")
    assert await flow.started() == []
    ((job_id, due),) = cluster.raw.zrange(flow.keys.scheduled, 0, -1, withscores=True)
    assert before + 60_000 <= due <= now_ms() + 60_000
    view = (await flow.view()).nodes[1]
    assert (view.state, view.job_id) == ("running", job_id)
    cluster.ripen()
    await flow.node.work.promote()
    assert await flow.started() == ["b"]
    assert job_in(flow.deliveries["b"]).ready_ms >= before + 60_000


async def test_a_time_in_the_future_is_waited_for(cluster: Cluster) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    flow = await submitted(cluster, node("a", options={"run_at": tomorrow.isoformat()}), node("b", "a"))
    assert await flow.started() == []
    found = await cluster.store_client.inspector.get((await flow.view()).nodes[0].job_id or b"")
    assert found.state is JobState.SCHEDULED
    assert await flow.states() == {"a": "running", "b": "pending"}


async def test_a_node_that_does_not_start_in_time_fails_its_workflow(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a"), node("b", "a", options={"expires_in_seconds": 0.001}), node("c", "b"))
    await flow.started()
    await flow.end("a")
    while (await flow.states())["b"] != "cancelled":
        await flow.node.work._expiry.sweep()  # type: ignore[attr-defined]
        await flow.advance()
    assert await flow.started() == []
    assert await flow.states() == {"a": "succeeded", "b": "cancelled", "c": "cancelled"}


# --------------------------------------------------------------------------- limits, priorities and turns


async def test_a_limit_holds_for_nodes(one: Cluster) -> None:
    flow = await submitted(one, node("a", options=ONE), node("b", options=ONE), node("c", "a", "b"))
    (first,) = await flow.started()
    assert await flow.states() == {"a": "running", "b": "running", "c": "pending"}
    await flow.end(first)
    (second,) = await flow.started()
    await flow.end(second)
    assert await flow.started() == ["c"]


async def test_and_among_them_and_other_jobs(one: Cluster) -> None:
    (other,) = limited(1)
    await one.submit(other)
    flow = await submitted(one, node("a", options=ONE))
    assert await flow.started() == []
    assert await one.state(other) is JobState.RUNNING


async def test_a_limit_that_is_gone_fails_the_node(cluster: Cluster) -> None:
    await cluster.store_client.limits.put("one", Limit(concurrency=1))
    flow = await submitted(cluster, node("a"), node("b", "a", options=ONE))
    await flow.started()
    await cluster.store_client.limits.delete("one")
    await flow.end("a")
    assert await flow.started() == []
    assert await flow.states() == {"a": "succeeded", "b": "failed"}
    assert "there is no limit one" in (await reasons(flow))["b"]


async def test_a_node_waits_while_there_is_no_room_for_its_key(one: Cluster) -> None:
    one.with_settings(max_limit_keys=1)
    (other,) = limited(1, key="other")
    await one.submit(other)
    worker = await one.node()
    taken = await worker.work.fetch(1)
    flow = await submitted(one, node("a", options=ONE), node("b"), node=worker)
    assert await flow.started() == ["b"]
    assert await flow.states() == {"a": "ready", "b": "running"}
    await settle(worker, taken)
    assert await worker.work.fetch(1) == []  # and its key is no longer in use
    # It is looked at again a second later.
    one.raw.zadd(flow.keys.ready, dict.fromkeys(one.raw.zrange(flow.keys.ready, 0, -1), 1))
    await flow.see_to()
    assert await flow.started() == ["a"]


async def test_a_full_queue_keeps_no_node_from_starting(one: Cluster) -> None:
    one.with_settings(max_queue_length=1)
    await one.submit(job())
    flow = await submitted(one, node("a", options=ONE), node("b"))
    assert await flow.started() == ["a", "b"]


async def test_priorities_and_turns_are_those_of_any_job(one: Cluster) -> None:
    one.with_settings(queues=("default", "other"))
    flow = await submitted(
        one,
        node("a", options={**ONE, "priority": "low"}),
        node("b", options={"priority": "critical", "delay_seconds": 0.001, "queue": "other"}),
        node("c", options={"fairness_key": "x", "fairness_weight": 3}),
        node("d", options={"fairness_key": "x", **ONE}),
    )
    await flow.advance()
    cluster = one
    cluster.ripen()
    await flow.node.work.promote()
    found = {
        one.job.parent.node: one.job for one in (await cluster.store_client.inspector.jobs()).jobs if one.job.parent
    }
    about = {name: (each.stream, each.fairness_key, each.fairness_weight) for name, each in found.items()}
    assert about == {
        "a": ("default:3", "", 1),
        "b": ("other:0", "", 1),
        "c": ("default:2", "x", 3),
        "d": ("default:2", "x", 1),
    }


# --------------------------------------------------------------------------- unique keys


@pytest.mark.parametrize("conflict", ["return", "reject"])
async def test_a_unique_key_that_another_job_holds_ends_the_node(cluster: Cluster, conflict: str) -> None:
    other = holder("do.a")
    await cluster.submit(other)
    options = unique(conflict)
    flow = await submitted(cluster, node("a", options=options, on_failure="continue"), node("b", "a"))
    assert await flow.started() == ["b"]
    assert await flow.states() == {"a": "cancelled", "b": "running"}
    assert await reasons(flow) == {"a": f"job {other.text_id} has its unique key"}


async def test_a_node_takes_the_place_of_a_job_that_waits(cluster: Cluster) -> None:
    other = holder("do.a")
    await cluster.submit(other)
    flow = await submitted(cluster, node("a", options=unique("replace")), node("b", "a"))
    assert await flow.started() == ["a"]
    assert job_in(flow.deliveries["a"]).id == other.id
    assert (await flow.view()).nodes[0].job_id == other.id
    await flow.end("a")
    assert await flow.started() == ["b"]


async def test_and_another_job_that_of_a_node(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a", options=unique("replace")), node("b", "a", on_failure="continue"))
    await flow.advance()
    await cluster.submit(job(kind="do.a", unique=UniqueUse("k", on_conflict="replace")))
    await flow.advance()
    assert await flow.states() == {"a": "cancelled", "b": "cancelled"}
    assert "has taken its place" in (await reasons(flow))["a"]


async def test_of_two_nodes_with_one_key_one_runs(cluster: Cluster) -> None:
    nodes = [{**node(name, options=unique("return"), on_failure="continue"), "kind": "do.same"} for name in ("a", "b")]
    flow = await submitted(cluster, *nodes, node("c", "a", "b"))
    (name,) = await flow.started()
    other = {"a": "b", "b": "a"}[name]
    assert await flow.states() == {name: "running", other: "cancelled", "c": "pending"}
    await flow.end(name)
    assert await flow.started() == ["c"]


async def test_a_debounced_node_waits_for_quiet(cluster: Cluster) -> None:
    options = {"unique": {"key": "k", "on_conflict": "debounce"}, "delay_seconds": 60}
    flow = await submitted(cluster, node("a", options=options))
    await flow.advance()
    first = (await flow.view()).nodes[0].job_id
    second = await submitted(cluster, node("a", options=options), node=flow.node)
    await second.advance()
    assert await flow.states() == {"a": "cancelled"}
    assert (await second.view()).nodes[0].job_id == first


# --------------------------------------------------------------------------- what is damaged


async def test_a_node_whose_job_cannot_be_read_keeps_no_other_waiting(one: Cluster) -> None:
    torn = await submitted(one, node("a", options=ONE))
    one.raw.hset(torn.keys.graph(torn.id.hex()), "R0", b"\xc1")
    flow = await submitted(one, node("a", options=ONE), node=torn.node)
    assert await flow.started() == ["a"]
    assert await torn.states() == {"a": "ready"}


async def test_nor_does_a_workflow_whose_keys_are_of_the_wrong_type(one: Cluster) -> None:
    torn = await submitted(one, node("a", options=ONE))
    await torn.advance()
    flow = await submitted(one, node("a", options={"delay_seconds": 0.001}), node=torn.node)
    key = torn.keys.results(torn.id.hex())
    one.raw.set(key, "x")
    await flow.advance()
    assert await flow.states() == {"a": "running"}
    one.raw.delete(key)


async def test_what_is_left_of_a_workflow_that_is_gone_goes(cluster: Cluster) -> None:
    node_ = await cluster.node()
    cluster.raw.zadd(cluster.keys.ready, {bytes(16) + b"0.0": 1})
    await node_.work.promote()
    assert cluster.raw.exists(cluster.keys.ready) == 0


async def test_expiry_reaches_far(cluster: Cluster) -> None:
    flow = await submitted(cluster, node("a", options={"expires_in_seconds": HOUR_MS / 1000}))
    assert await flow.started() == ["a"]
    assert job_in(flow.deliveries["a"]).expires_ms > now_ms()


async def test_of_many_without_room_for_one_key_one_is_tried(one: Cluster) -> None:
    one.with_settings(max_limit_keys=1)
    (other,) = limited(1, key="other")
    await one.submit(other)
    worker = await one.node()
    taken = await worker.work.fetch(1)
    use = {"limits": [{"name": "one", "key": "other"}]}
    flow = await submitted(one, *(node(f"n{at}", options=ONE) for at in range(20)), node("b", options=use), node=worker)
    before = one.raw.info("commandstats")["cmdstat_evalsha"]["calls"]
    await flow.see_to()
    assert one.raw.info("commandstats")["cmdstat_evalsha"]["calls"] - before < 20
    assert (await flow.states())["b"] == "running"
    await settle(worker, taken)
    assert await flow.started() == ["b"]


@pytest.mark.parametrize(
    ("limit", "states"),
    [
        (Limit(rate=Rate(1, per_seconds=3600.0, burst=1)), {"a": "succeeded", "b": "running"}),
        (Limit(concurrency=1, order="fifo"), {"a": "succeeded", "b": "succeeded"}),
        (Limit(concurrency=1, when_full="cancel_new"), {"a": "succeeded", "b": "cancelled"}),
    ],
    ids=["rate", "fifo", "cancel new"],
)
async def test_whatever_a_limit_says_it_says_to_nodes(cluster: Cluster, limit: Limit, states: dict[str, str]) -> None:
    """`a` has the place, or has used up the rate, when `b` comes."""
    await cluster.store_client.limits.put("one", limit)
    flow = await submitted(cluster, node("a", options=ONE), node("x"), node("b", "x", options=ONE))
    assert await flow.started() == ["a", "x"]
    await flow.end("x")
    assert await flow.started() == []
    await flow.end("a")
    for name in await flow.started():
        await flow.end(name)
    found = await flow.states()
    assert {name: found[name] for name in states} == states


async def test_a_key_that_is_held_for_a_time_ends_later_nodes(cluster: Cluster) -> None:
    """As a throttle: the first one runs, and others do not until the time is over."""
    options = {"unique": {"key": "k", "for_seconds": 3600}}
    flow = await submitted(cluster, node("a", options=options), node("b"))
    assert await flow.started() == ["a", "b"]
    await flow.end("a", "b")
    again = await submitted(cluster, node("a", options=options, on_failure="continue"), node("b", "a"), node=flow.node)
    assert await again.started() == ["b"]
    assert "has its unique key" in (await reasons(again))["a"]
