"""What the tests of schedules that start workflows share."""

from __future__ import annotations

from typing import Any

from ironforge.schedules.definition import Schedule
from tests.store.kit import Cluster, Node
from tests.store.schedules.kit import (
    CAUGHT_UP,
    every,
    schedules,
    ticked,
)
from tests.store.workflows.flow import Flow
from tests.workflows.documents import node, workflow


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


async def audited(worker: Node) -> int:
    """How many workflows were found that nothing would have moved on."""
    return sum([await worker.work.audit_workflows() for _ in range(3)])
