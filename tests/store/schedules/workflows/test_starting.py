"""Ticks that start workflows, and what schedules may say of them."""

from __future__ import annotations

import pytest

from ironforge.errors import InvalidJob, QuotaExceeded
from ironforge.job.record import created_ms_of, decode
from ironforge.job.tick import JobTick
from ironforge.schedules.checks import check_schedule
from ironforge.schedules.definition import Schedule
from ironforge.store.schedules.firing import tick_id
from tests.store.kit import Cluster, job_in
from tests.store.schedules.kit import (
    CAUGHT_UP,
    every,
    history,
    make_due,
    outcomes,
    request,
    schedules,
    tick,
    ticker,
)
from tests.store.schedules.workflows.kit import nightly, run_of, runs_of, status, through
from tests.workflows.documents import node, workflow


async def test_a_tick_starts_the_workflow(cluster: Cluster) -> None:
    worker = await cluster.node()
    view = await schedules(cluster).put("report", nightly())
    at_ms = make_due(cluster, "report")
    await tick(ticker(cluster))
    run = await run_of(cluster, worker)
    assert view.stored is not None
    assert run.id == tick_id("report", view.stored.created_ms, at_ms)
    [past] = await history(cluster, "report")
    assert (past.at_ms, past.outcome, past.job_id, past.is_workflow) == (at_ms, "started", run.id, True)
    assert await run.started() == ["a"]
    coordinator = decode(cluster.raw.hget(cluster.keys.parked, run.id))
    assert coordinator.tick == JobTick("report", at_ms)
    assert created_ms_of(run.id) == at_ms
    await run.end("a")
    assert await run.started() == ["b"]
    await run.end("b")
    await run.settle()
    assert await status(run) == "completed"


async def test_its_nodes_know_the_schedule(cluster: Cluster) -> None:
    worker = await cluster.node()
    [run] = await runs_of(cluster, worker, 1, node("a"))
    at_ms = created_ms_of(run.id)
    await run.advance()
    [delivery] = await worker.work.fetch(10)
    assert job_in(delivery).tick == JobTick("report", at_ms)


async def test_two_that_fire_one_tick_start_one_workflow(cluster: Cluster) -> None:
    worker = await cluster.node()
    await schedules(cluster).put("report", nightly(overlap="allow"))
    make_due(cluster, "report")
    both = [ticker(cluster), ticker(cluster)]
    for one in both:
        one.wake(0)
        await one._claims.claim()
        cluster.raw.zadd(cluster.keys.ticks, {"report": 1})
    for one in both:
        await one.tick()
    assert cluster.raw.zcard(cluster.keys.waiting("workflow")) == 1
    assert await (await run_of(cluster, worker)).started() == ["a"]
    assert await outcomes(cluster, "report") == [("started", "", 1)]


async def test_jobs_and_workflows_tick_together(cluster: Cluster) -> None:
    await cluster.node()
    for name, schedule in (("job", every(catch_up=CAUGHT_UP)), ("one", nightly()), ("two", nightly())):
        await schedules(cluster).put(name, schedule)
        make_due(cluster, name)
    cluster.raw.script_flush()
    await tick(ticker(cluster))
    assert [await outcomes(cluster, name) for name in ("job", "one", "two")] == [[("started", "", 1)]] * 3


async def test_what_a_tick_is_refused_for_is_told_and_it_starts_once_that_is_over(cluster: Cluster) -> None:
    worker = await cluster.node()
    cluster.with_settings(max_queues=1)
    await schedules(cluster).put("report", nightly(node("a", options={"queue": "full"})))
    make_due(cluster, "report")
    await tick(ticker(cluster))
    view = await schedules(cluster).get("report")
    assert "queues" in view.problem
    assert view.last_job is None
    assert cluster.raw.zcard(cluster.keys.waiting("workflow")) == 0
    with pytest.raises(QuotaExceeded):
        await schedules(cluster).trigger("report")
    cluster.with_settings(max_queues=100)
    cluster.raw.zadd(cluster.keys.ticks, {"report": 1})
    await tick(ticker(cluster))
    run = await run_of(cluster, worker)
    await run.advance()
    assert await run.states() == {"a": "running"}
    assert (await schedules(cluster).get("report")).problem == ""


@pytest.mark.parametrize("name", ["index", "parked", "advance", "queues", "delayed", "scheduled_runs"])
async def test_no_tick_is_half_fired(cluster: Cluster, name: str) -> None:
    worker = await cluster.node()
    await schedules(cluster).put("report", nightly(overlap="queue_one"))
    make_due(cluster, "report")
    one = ticker(cluster)
    one.wake(0)
    await one._claims.claim()
    key = getattr(cluster.keys, name)
    kept = cluster.raw.dump(key)
    cluster.raw.delete(key)
    cluster.raw.lpush(key, "somebody's")
    before = cluster.snapshot()
    await one.tick()
    after = cluster.snapshot()
    assert after.pop(cluster.keys.problems.encode(), None) is not None
    assert after == before
    cluster.raw.delete(key)
    if kept:
        cluster.raw.restore(key, 0, kept)
    cluster.raw.zadd(cluster.keys.ticks, {"report": 1})
    await tick(one)
    await through(await run_of(cluster, worker))


def refusal(schedule: Schedule) -> tuple[str, str | None]:
    with pytest.raises(InvalidJob) as refused:
        check_schedule(schedule)
    return refused.value.code, refused.value.field


def test_one_of_job_and_workflow_is_said() -> None:
    made = every()
    said = {name: getattr(made, name) for name in made.__struct_fields__}
    assert refusal(Schedule(**said | {"job": None})) == ("missing_field", "job")
    assert refusal(Schedule(**said | {"job": request(), "workflow": workflow(node("a"))})) == (
        "invalid_schedule",
        "job",
    )


def test_a_workflow_that_is_wrong_is_refused_with_its_place() -> None:
    assert refusal(nightly(node("a", "b"), node("b", "a")))[1].startswith("workflow.nodes")  # type: ignore[union-attr]


def test_a_workflow_of_too_many_nodes_is_refused() -> None:
    assert check_schedule(nightly(*(node(f"n{number}") for number in range(1000))))
    with pytest.raises(InvalidJob, match="the workflow has 1001 nodes: give at most 1000"):
        check_schedule(nightly(*(node(f"n{number}") for number in range(1001))))


async def test_the_largest_one_starts(cluster: Cluster) -> None:
    worker = await cluster.node()
    [run] = await runs_of(cluster, worker, 1, *(node(f"n{number}") for number in range(1000)))
    assert len(await run.started()) == 1000


async def test_what_says_the_same_again_changes_nothing(cluster: Cluster) -> None:
    before = await schedules(cluster).put("report", nightly())
    same = await schedules(cluster).put("report", nightly())
    other = await schedules(cluster).put("report", nightly(node("a")))
    assert same.etag == before.etag
    assert other.etag != before.etag
    assert (await schedules(cluster).apply("", {"report": nightly(node("a"))})).unchanged == ["report"]
