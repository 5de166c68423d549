"""Schedules that start workflows."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ironforge.errors import InvalidJob, QuotaExceeded
from ironforge.job.record import created_ms_of, decode
from ironforge.job.tick import JobTick
from ironforge.schedules.checks import check_schedule
from ironforge.schedules.definition import Schedule
from ironforge.store.schedules.contract import Fired
from ironforge.store.schedules.firing import tick_id
from tests.store.kit import Cluster, Node, completed, job_in
from tests.store.schedules.kit import (
    CAUGHT_UP,
    every,
    history,
    make_due,
    outcomes,
    request,
    schedules,
    tick,
    ticked,
    ticker,
)
from tests.store.workflows.flow import Flow
from tests.workflows.documents import node, workflow

FROM, TO = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 4, tzinfo=UTC)
QUEUES = ["queue_one", "queue_all"]


def nightly(*nodes: dict[str, Any], **fields: Any) -> Schedule:
    document = workflow(*(nodes or (node("a"), node("b", "a"))))
    made = every(**{"catch_up": CAUGHT_UP, **fields})
    return Schedule(
        **{name: getattr(made, name) for name in made.__struct_fields__} | {"job": None, "workflow": document}
    )


async def run_of(cluster: Cluster, worker: Node, name: str = "report") -> Flow:
    """The last workflow that it has started."""
    last = (await schedules(cluster).get(name)).last_job
    assert last is not None
    return Flow.of(cluster, worker, last)


async def runs_of(cluster: Cluster, worker: Node, count: int, *nodes: dict[str, Any], **fields: Any) -> list[Flow]:
    """Of so many ticks."""
    await schedules(cluster).put("report", nightly(*nodes, **fields))
    runs = []
    for _ in range(count):
        await ticked(cluster, "report")
        runs.append(await run_of(cluster, worker))
    return runs


async def through(run: Flow) -> None:
    assert await run.started() == ["a"]
    await run.end("a")
    assert await run.started() == ["b"]
    await run.end("b")
    await run.settle()


async def status(run: Flow) -> str:
    return (await run.view()).status


def lists(cluster: Cluster) -> tuple[int, int]:
    """How many workflows are known to wait for each other, and in how many lists."""
    return cluster.raw.hlen(cluster.keys.scheduled_runs), len(cluster.raw.keys(cluster.keys.runs("*")))


# --------------------------------------------------------------------------- a tick


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


# --------------------------------------------------------------------------- the last one goes on


async def test_a_workflow_that_goes_on_has_ticks_skipped(cluster: Cluster) -> None:
    worker = await cluster.node()
    [run, same] = await runs_of(cluster, worker, 2, overlap="skip")
    assert same.id == run.id
    await through(run)
    await ticked(cluster, "report")
    assert await outcomes(cluster, "report") == [("started", "", 1), ("skipped", "overlap", 1), ("started", "", 1)]


async def test_a_workflow_that_failed_has_ended(cluster: Cluster) -> None:
    worker = await cluster.node()
    [run] = await runs_of(cluster, worker, 1, overlap="skip")
    assert await run.started() == ["a"]
    await run.end("a", how="dead")
    await run.settle()
    assert await status(run) == "failed"
    await ticked(cluster, "report")
    assert (await run_of(cluster, worker)).id != run.id


async def test_workflows_side_by_side(cluster: Cluster) -> None:
    worker = await cluster.node()
    first, second = await runs_of(cluster, worker, 2, overlap="allow")
    assert [await status(run) for run in (first, second)] == ["running", "running"]


async def test_a_new_workflow_cancels_the_last_one(cluster: Cluster) -> None:
    worker = await cluster.node()
    first, second = await runs_of(cluster, worker, 2, overlap="cancel_running")
    assert first.id != second.id
    await first.settle()
    assert await status(first) == "cancelled"
    assert await second.started() == ["a"]


@pytest.mark.parametrize("was", ["job", "workflow"])
async def test_one_that_was_defined_anew_cancels_what_it_started_before(cluster: Cluster, was: str) -> None:
    worker = await cluster.node()
    both = [every(catch_up=CAUGHT_UP, overlap="cancel_running"), nightly(overlap="cancel_running")]
    before, now = both if was == "job" else reversed(both)
    await schedules(cluster).put("report", before)
    await ticked(cluster, "report")
    first = (await schedules(cluster).get("report")).last_job or b""
    await schedules(cluster).put("report", now)
    await ticked(cluster, "report")
    await Flow.of(cluster, worker, first).settle()
    assert not cluster.raw.hexists(cluster.keys.index, first)
    assert cluster.raw.hexists(cluster.keys.index, (await schedules(cluster).get("report")).last_job)


async def test_one_whose_tick_has_moved_meanwhile_cancels_nothing(cluster: Cluster) -> None:
    worker = await cluster.node()
    [run] = await runs_of(cluster, worker, 1, overlap="cancel_running")
    make_due(cluster, "report")
    late = ticker(cluster)
    late.wake(0)
    await late._claims.claim()
    await schedules(cluster).pause("report")
    await late.tick()
    assert await status(run) == "running"


async def test_one_that_cannot_be_cancelled_keeps_no_other_schedule_from_its_tick(cluster: Cluster) -> None:
    worker = await cluster.node()
    [run] = await runs_of(cluster, worker, 1, overlap="cancel_running")
    await schedules(cluster).put("well", every(catch_up=CAUGHT_UP))
    make_due(cluster, "well")
    make_due(cluster, "report")
    cluster.raw.rename(run.keys.progress(run.id.hex()), aside := cluster.keys.prefix + "aside")
    cluster.raw.lpush(run.keys.progress(run.id.hex()), "somebody's")
    await tick(ticker(cluster))
    assert await outcomes(cluster, "well") == [("started", "", 1)]
    assert "WRONGTYPE" in (await schedules(cluster).get("report")).problem
    cluster.raw.delete(run.keys.progress(run.id.hex()))
    cluster.raw.rename(aside, run.keys.progress(run.id.hex()))
    cluster.raw.zadd(cluster.keys.ticks, {"report": 1})
    await tick(ticker(cluster))
    assert (await run_of(cluster, worker)).id != run.id
    await run.settle()
    assert await status(run) == "cancelled"


# --------------------------------------------------------------------------- one after the other


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


async def audited(worker: Node) -> int:
    """How many workflows were found that nothing would have moved on."""
    return sum([await worker.work.audit_workflows() for _ in range(3)])


async def test_no_audit_lets_one_go_while_another_one_is_in_front(cluster: Cluster) -> None:
    worker = await cluster.node()
    first, second = await runs_of(cluster, worker, 2, overlap="queue_one")
    assert await first.started() == ["a"]
    assert await second.started() == []
    assert await audited(worker) == 0
    assert await second.started() == []


# --------------------------------------------------------------------------- out of turn


async def test_out_of_turn(cluster: Cluster) -> None:
    worker = await cluster.node()
    await schedules(cluster).put("report", nightly())
    fired = await schedules(cluster).trigger("report")
    run = await run_of(cluster, worker)
    assert (fired.outcome, fired.reason, fired.job_id) == ("started", "trigger", run.id)
    assert await schedules(cluster).trigger("report") == Fired("skipped", "overlap")
    await through(run)


@pytest.mark.parametrize("overlap", ["skip", "queue_one"])
async def test_a_backfill_starts_a_workflow_for_each_tick_of_the_past(cluster: Cluster, overlap: str) -> None:
    worker = await cluster.node()
    await schedules(cluster).put("report", nightly(node("a"), start=FROM, overlap=overlap))
    planned = await schedules(cluster).backfill("report", FROM, TO, dry_run=True)
    assert cluster.raw.zcard(cluster.keys.waiting("workflow")) == 0
    filled = await schedules(cluster).backfill("report", FROM, TO, per_second=0.1)
    assert [at_ms for at_ms, _ in filled] == [at_ms for at_ms, _ in planned]
    ticks = [decode(cluster.raw.hget(cluster.keys.parked, run)).tick for _, run in filled]
    assert ticks == [JobTick("report", at_ms) for at_ms, _ in filled]
    [past] = await history(cluster, "report")
    assert (past.reason, past.ticks, past.is_workflow) == ("backfill", 3, True)
    assert await worked_off(cluster, worker) == [run for _, run in filled]
    assert [await status(Flow.of(cluster, worker, run)) for _, run in filled] == ["completed"] * 3


async def worked_off(cluster: Cluster, worker: Node) -> list[bytes]:
    """Whose nodes ran, in order, until none is left."""
    order: list[bytes] = []
    for _ in range(20):
        for item in cluster.raw.zrange(cluster.keys.advance, 0, -1):
            cluster.raw.zadd(cluster.keys.advance, {item: 1})
            await worker.work.promote()
        batch = await worker.work.fetch(10)
        order += [parent.id for one in batch if (parent := job_in(one).parent)]
        await worker.work.settle([completed(one) for one in batch])
        await worker.work._advancer.advance(3)  # type: ignore[attr-defined]
    return order


async def test_a_backfill_begins_them_one_after_the_other(cluster: Cluster) -> None:
    await schedules(cluster).put("report", nightly(node("a"), start=FROM, overlap="allow"))
    filled = await schedules(cluster).backfill("report", FROM, TO, per_second=0.1)
    begins = [cluster.raw.zscore(cluster.keys.advance, run + b"b0.0") for _, run in filled]
    assert [round((one - begins[0]) / 1000) for one in begins] == [0, 10, 20]


async def test_a_large_backfill_takes_several_calls(cluster: Cluster) -> None:
    nodes = [node(f"n{number}") for number in range(100)]
    until = FROM + timedelta(days=25)
    await schedules(cluster).put("report", nightly(*nodes, start=FROM, overlap="allow"))
    filled = await schedules(cluster).backfill("report", FROM, until, per_second=10.0)
    assert len({run for _, run in filled}) == 25
    begins = [cluster.raw.zscore(cluster.keys.advance, run + b"b0.0") for _, run in filled]
    assert all(one < after for one, after in itertools.pairwise(begins))
    assert cluster.raw.zcard(cluster.keys.waiting("workflow")) == 25


# --------------------------------------------------------------------------- definitions


def refusal(schedule: Schedule) -> tuple[str, str | None]:
    with pytest.raises(InvalidJob) as refused:
        check_schedule(schedule)
    return refused.value.code, refused.value.field


def test_one_of_job_and_workflow_is_said() -> None:
    made = every()
    said = {name: getattr(made, name) for name in made.__struct_fields__}
    assert refusal(Schedule(**said | {"job": None})) == ("invalid_schedule", "job")
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
