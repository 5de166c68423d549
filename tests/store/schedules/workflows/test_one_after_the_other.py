"""Workflows that wait until the one which their schedule has started before has ended."""

from __future__ import annotations

import pytest

from ironforge.store.schedules.contract import Fired
from tests.store.kit import Cluster
from tests.store.schedules.kit import (
    outcomes,
    schedules,
    ticked,
)
from tests.store.schedules.workflows.kit import audited, lists, nightly, run_of, runs_of, status, through
from tests.workflows.documents import node

QUEUES = ["queue_one", "queue_all"]


@pytest.mark.parametrize("overlap", QUEUES)
async def test_workflows_that_wait_for_each_other(cluster: Cluster, overlap: str) -> None:
    worker = await cluster.node()
    most = {"queue_one": 1, "queue_all": 100}[overlap]
    runs = await runs_of(cluster, worker, min(most, 3) + 1, overlap=overlap)
    for run in runs:
        await through(run)
        assert await status(run) == "completed"
    assert lists(cluster) == (0, 0)


@pytest.mark.parametrize(("overlap", "most"), [("queue_one", 1), ("queue_all", 100)])
async def test_no_more_wait_than_may(cluster: Cluster, overlap: str, most: int) -> None:
    worker = await cluster.node()
    await runs_of(cluster, worker, most + 3, node("a"), overlap=overlap)
    assert cluster.raw.zcard(cluster.keys.waiting("workflow")) == most + 1
    assert await schedules(cluster).trigger("report") == Fired("skipped", "overlap")
    assert (await outcomes(cluster, "report"))[-1] == ("skipped", "overlap", 3)


@pytest.mark.parametrize("how", ["cancelled", "dead"])
async def test_the_next_one_starts_however_the_first_one_ends(cluster: Cluster, how: str) -> None:
    worker = await cluster.node()
    first, second = await runs_of(cluster, worker, 2, overlap="queue_one")
    assert await first.started() == ["a"]
    assert await second.started() == []
    await first.end("a", how=how)
    await first.settle()
    await through(second)
    assert lists(cluster) == (0, 0)


async def test_one_that_waits_may_be_cancelled(cluster: Cluster) -> None:
    worker = await cluster.node()
    first, second, third = await runs_of(cluster, worker, 3, overlap="queue_all")
    await cluster.store_client.workflows.cancel(second.id)
    await second.settle()
    assert await status(second) == "cancelled"
    assert await third.states() == {"a": "ready", "b": "pending"}
    await through(first)
    await through(third)
    assert lists(cluster) == (0, 0)


async def test_one_that_waits_and_is_paused_stays_paused_when_its_turn_has_come(cluster: Cluster) -> None:
    worker = await cluster.node()
    first, second = await runs_of(cluster, worker, 2, overlap="queue_one")
    await cluster.store_client.workflows.pause(second.id)
    await through(first)
    assert await second.started() == []
    assert await status(second) == "paused"
    assert await cluster.store_client.workflows.resume(second.id) == "running"
    await through(second)


async def test_who_resumes_one_that_waits_has_it_start_out_of_turn(cluster: Cluster) -> None:
    worker = await cluster.node()
    first, second = await runs_of(cluster, worker, 2, overlap="queue_one")
    assert await cluster.store_client.workflows.resume(second.id) == "running"
    assert await first.started() == ["a"]
    await second.advance()
    await second.settle()
    assert (await second.states())["a"] == "running"


async def test_a_schedule_that_is_deleted_has_those_that_wait_start_all_the_same(cluster: Cluster) -> None:
    worker = await cluster.node()
    first, second = await runs_of(cluster, worker, 2, overlap="queue_one")
    await schedules(cluster).delete("report")
    await through(first)
    await through(second)
    assert lists(cluster) == (0, 0)


async def test_runs_of_different_schedules_do_not_wait_for_each_other(cluster: Cluster) -> None:
    worker = await cluster.node()
    for name in ("report", "other"):
        await schedules(cluster).put(name, nightly(overlap="queue_one"))
        await ticked(cluster, name)
    for name in ("report", "other"):
        assert (await (await run_of(cluster, worker, name)).states())["a"] == "running" or await (
            await run_of(cluster, worker, name)
        ).started() == ["a"]


async def test_one_in_front_that_is_nowhere_is_in_nobodys_way(cluster: Cluster) -> None:
    worker = await cluster.node()
    first, second, third = await runs_of(cluster, worker, 3, overlap="queue_all")
    assert await first.started() == ["a"]
    for key in (cluster.keys.index, cluster.keys.parked):
        cluster.raw.hdel(key, first.id)
    cluster.raw.zrem(cluster.keys.waiting("workflow"), first.id)
    cluster.raw.delete(cluster.keys.progress(first.id.hex()), cluster.keys.graph(first.id.hex()))
    assert await audited(worker) == 1
    assert await second.started() == ["a"]
    assert await third.started() == []
    assert await audited(worker) == 0
    await second.end("a")
    assert (await third.states())["a"] == "ready"
    assert await second.started() == ["b"]
    await second.end("b")
    await second.settle()
    await through(third)
    cluster.checked = False  # for what ran of the first one


async def test_no_audit_lets_one_go_while_another_one_is_in_front(cluster: Cluster) -> None:
    worker = await cluster.node()
    first, second = await runs_of(cluster, worker, 2, overlap="queue_one")
    assert await first.started() == ["a"]
    assert await second.started() == []
    assert await audited(worker) == 0
    assert await second.started() == []
