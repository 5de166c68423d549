"""Nodes are killed at any moment while large workflows and maps go on: each job ends once, and nothing is stranded."""

from __future__ import annotations

import contextlib
import os
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any

import pytest

from ironforge.store import NodeStore
from ironforge.store.workflows.contract import WorkflowView
from ironforge.workflows.again import retried
from ironforge.workflows.definition import Workflow
from ironforge.workflows.graph import graph_of
from ironforge.workflows.progress import Progress
from tests.actors.node.workflows.kit import do, json
from tests.store.workflows.flow import submission
from tests.system.faults.kit import Ground, until
from tests.workflows.documents import edge, result, workflow
from tests.workflows.runs import after, go_on

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured, pytest.mark.timeout(900)]

PROGRAM = Path(__file__).parent / "workflow_app.py"
# A map has at most 100,000 items, and a workflow 10,000 nodes.
ITEMS = int(os.environ.get("IRONFORGE_PROOF_ITEMS", "10000"))
NODES = int(os.environ.get("IRONFORGE_PROOF_NODES", "3000"))
KILLS = 3
AT_ONCE = 50
# Those behind each other, so that there is always something that may start.
REACH = 300


class Killing:
    """Two nodes, of which one is killed each time that so many more jobs have ended, and replaced."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.killed: list[int] = []

    @contextlib.asynccontextmanager
    async def nodes(self, **environment: str) -> AsyncIterator[None]:
        with pytest.MonkeyPatch.context() as here:
            for name, value in environment.items():
                here.setenv(name, value)
            for _ in range(2):
                self._start()
            yield
            for node in self._ground.running():
                await self._ground.end(node)

    def _start(self) -> Any:
        return self._ground.start_node(program=(str(PROGRAM),))

    async def to_its_end(self, workflow_id: bytes, jobs: int) -> WorkflowView:
        """`jobs`: so many are about to end."""
        before = await self._ended()
        for moment in sorted(random.sample(range(jobs), KILLS)):

            async def is_there(moment: int = before + moment) -> bool:
                return await self._ended() >= moment

            await until(is_there, f"{moment} jobs to end")
            victim = random.choice(self._ground.running())
            victim.kill()
            victim.wait()
            self.killed.append(victim.pid)
            self._start()
            await nothing_is_stranded(self._ground)
        found: list[WorkflowView] = []

        async def has_ended() -> bool:
            found[:] = [await self._ground.store_client.workflows.view(workflow_id)]
            return found[0].status not in ("running", "paused")

        await until(has_ended, "the workflow to end", look_seconds=0.1)
        await nothing_is_stranded(self._ground)
        return await self._ground.store_client.workflows.view(workflow_id, results=True)

    async def _ended(self) -> int:
        totals = await self._ground.totals()
        return sum(totals.get(how, 0) for how in ("completed", "dead"))


async def nothing_is_stranded(ground: Ground) -> None:
    """As a node sees it that looks after all."""
    store = NodeStore(ground.settings)
    lease = await store.leases.join()
    work = store.work(lease)
    found = [await audit() for audit in (work.audit_waits, work.audit_families, work.audit_workflows)]
    await store.leases.leave(lease)
    await store.close()
    assert found == [0, 0, 0]


def jobs_by_name(ground: Ground, first: int = 0) -> dict[str, set[str]]:
    """Which jobs have run as what, from this line of the ledger on."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for line in ground.lines()[first:]:
        found[line.what].add(line.job_id)
    return found


def check_runs(ground: Ground, killed: Collection[int], first: int = 0) -> None:
    """A job runs again only if its run was in a node that was killed."""
    runs: defaultdict[str, list[int]] = defaultdict(list)
    for line in ground.lines()[first:]:
        runs[line.job_id].append(line.pid)
    assert {pid for pids in runs.values() for pid in pids[:-1]} <= {*killed}


@pytest.mark.parametrize("max_parallel", [None, ITEMS // 10], ids=["all at once", "a part at once"])
async def test_each_item_of_a_large_map_is_one_job(ground: Ground, max_parallel: int | None) -> None:
    over = {"over": "list.result.items", **({"max_parallel": max_parallel} if max_parallel else {})}
    one = submission(
        workflow(
            do("list", "list", payload={"count": ITEMS}),
            do("map", "double", "list", map=over),
            do("sum", "sum", "map", payload=result("map.result")),
        )
    )
    async with contextlib.aclosing(ground.again(lease_seconds=1.0, concurrency=AT_ONCE)) as own:
        await own.store_client.workflows.submit([one])
        killing = Killing(own)
        async with killing.nodes():
            view = await killing.to_its_end(one.id, ITEMS)

        assert view.status == "completed"
        assert json(view.nodes[1].result) == [2 * number for number in range(ITEMS)]
        assert json(view.nodes[2].result) == {"count": ITEMS, "sum": ITEMS * (ITEMS - 1)}
        jobs = jobs_by_name(own)
        assert len(jobs) == ITEMS
        assert max(map(len, jobs.values())) == 1
        check_runs(own, killing.killed)
        assert (await own.totals())["completed"] == ITEMS + 3


def any_workflow(rng: random.Random) -> tuple[Workflow, dict[str, str]]:
    """And which of its nodes fail. Most of them start."""
    nodes, fails = [], {}
    for number in range(NODES):
        name = f"n{number}"
        nearest = range(max(0, number - REACH), number)
        needs = rng.sample(nearest, min(len(nearest), rng.choice((1, 1, 2, 3)))) if number >= AT_ONCE else []
        edges = [
            edge(f"n{need}", when) if (when := rng.choice((None, None, None, "done"))) else f"n{need}" for need in needs
        ]
        if rng.random() < 0.05:
            fails[name] = "failed"
        about = {"when": rng.choice(("all_succeeded", "all_done", "all_done")) if needs else "all_succeeded"}
        on_failure = rng.choice(("continue", "skip_dependents"))
        nodes.append(do(name, "part", *edges, payload={"fails": name in fails}, on_failure=on_failure, **about))
    return workflow(*nodes), fails


def ran(progress: Progress) -> set[str]:
    nodes = zip(progress.graph.nodes, progress.states, strict=True)
    return {node.id for node, state in nodes if state in ("succeeded", "failed")}


def check(ground: Ground, view: WorkflowView, progress: Progress, names: set[str], first: int = 0) -> None:
    """Its nodes have ended so, and these have run, each as one job, which is that of the view."""
    assert view.status == progress.outcome
    assert [node.state for node in view.nodes] == progress.states
    jobs = jobs_by_name(ground, first)
    assert jobs.keys() == names
    assert max(map(len, jobs.values())) == 1
    assert [node.result for node in view.nodes if node.state == "succeeded" and json(node.result) != node.id] == []


async def test_each_node_of_a_large_workflow_is_one_job_in_each_generation(ground: Ground) -> None:
    """It fails, and is retried when nothing fails any more."""
    document, fails = any_workflow(random.Random())
    graph = graph_of(document)
    one = submission(document, graph)
    first = after(graph, **fails)
    async with contextlib.aclosing(ground.again(lease_seconds=1.0, concurrency=AT_ONCE)) as own:
        await own.store_client.workflows.submit([one])
        killing = Killing(own)
        async with killing.nodes():
            check(own, await killing.to_its_end(one.id, len(ran(first))), first, ran(first))
        check_runs(own, killing.killed)
        before = len(own.lines())

        again = retried(first)
        kept = ran(again)
        go_on(again)
        await own.store_client.workflows.retry(one.id)
        async with killing.nodes(HEALED="1"):
            view = await killing.to_its_end(one.id, len(ran(again) - kept))
        check(own, view, again, ran(again) - kept, before)
        check_runs(own, killing.killed, before)
        assert view.generation == 1
