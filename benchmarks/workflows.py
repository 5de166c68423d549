"""What do workflows of ten nodes cost: submitted, and run to their ends? How long is an edge, and the end of a map?

The nodes do nothing, one after the other, without or with the result of the one before, or 1 + 8 + 1. Workflows are
submitted one by one, as applications do, by 64 coroutines of the measuring process: first with no node beside it, then
with nodes that run them meanwhile, timed from the first submission to the last end. With each rate stands the processor
time of a workflow: on a machine with other work that says more. An edge is from the start of a node's handler to that
of the next one, in a long chain that is alone. A waiting workflow is one that has not begun.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import redis

from benchmarks import harness
from benchmarks.process import cpu_seconds
from benchmarks.submit import CLIENTS
from benchmarks.timers import all_completed
from ironforge.handlers.forge import Forge
from ironforge.job.record import parse_id
from ironforge.redis.keys import Keys
from ironforge.settings import Settings
from ironforge.store import StoreClient
from ironforge.store.workflows.contract import WorkflowView
from ironforge.workflows.builder import chain, dag, group, map_over, node
from ironforge.workflows.definition import Workflow

NODES = 10
WARMING = 200
EDGES = 3_000
LONG_LOOK_SECONDS = 0.1


def _noop(number: int, kind: str = "bench.noop") -> Any:
    return node(kind, {"to": "someone"} if kind == "bench.noop" else None, id=f"n{number}")


def chain_of(nodes: int, kind: str = "bench.noop") -> Workflow:
    return dag("bench.chain", chain(*(_noop(number, kind) for number in range(nodes))))


def fan_of(nodes: int) -> Workflow:
    first, *middle, last = (_noop(number) for number in range(nodes))
    return dag("bench.fan", chain(first, group(*middle), last))


def results_of(nodes: int) -> Workflow:
    """A chain, in which each is given what the one before has returned."""
    before = node("bench.clock", id="n0")
    for number in range(1, nodes):
        before = node("bench.clock", {"before": before.result}, id=f"n{number}")
    return dag("bench.results", before)


SHAPES: dict[str, Callable[[int], Workflow]] = {
    "chain": chain_of,
    "chain with results": results_of,
    "1 + 8 + 1": fan_of,
}


class Run(NamedTuple):
    """Workflows a second, and µs of processor time that a workflow took the server, the nodes and who submits it."""

    rate: float
    server: float
    nodes: float
    submitting: float


async def submit(forge: Forge, workflow: Workflow, count: int) -> None:
    """The same one so many times, each by a call of its own."""

    async def client(number: int) -> None:
        for _ in range(number, count, CLIENTS):
            await forge.submit_workflow(workflow)

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))


async def _ended(raw: redis.Redis, settings: Settings) -> None:
    """All that were submitted."""
    while raw.zcard(Keys(settings.namespace).waiting("workflow")):
        await asyncio.sleep(harness.LOOK_SECONDS)


async def once(shape: str, count: int, nodes: int, flags: dict[str, Any]) -> Run:
    """So many workflows, after a few others; without nodes they are only submitted."""
    workflow = SHAPES[shape](NODES)
    with harness.server(**flags) as settings, redis.Redis.from_url(settings.redis_url) as raw:
        async with Forge(settings) as forge:
            with harness.nodes(settings, nodes, quiet=True) as pids:
                known: Any = raw.info("server")

                async def submitted(count: int) -> None:
                    await submit(forge, workflow, count)
                    if pids:
                        await _ended(raw, settings)

                def used() -> list[float]:
                    return [cpu_seconds(known["process_id"]), sum(map(cpu_seconds, pids)), time.process_time()]

                await submitted(WARMING)
                start, before = time.perf_counter(), used()
                await submitted(count)
                seconds = time.perf_counter() - start
                spent = [(now - then) / count * 1e6 for now, then in zip(used(), before, strict=True)]
    return Run(count / seconds, *spent)


async def _figure(repeats: int, measure: Callable[[], Any]) -> dict[str, Any]:
    runs: list[Run] = [await measure() for _ in range(repeats)]
    times = {
        f"{of}, CPU us": statistics.median(getattr(run, of) for run in runs) for of in ("server", "nodes", "submitting")
    }
    return harness.spread([run.rate for run in runs]) | times


async def _view(opened: StoreClient, workflow_id: str, *, results: bool = False) -> WorkflowView:
    """Once it has ended."""
    job_id = parse_id(workflow_id)
    while (view := await opened.workflows.view(job_id, results=results)).status == "running":
        await asyncio.sleep(LONG_LOOK_SECONDS)
    if view.status != "completed":
        raise RuntimeError(f"workflow {workflow_id} is {view.status}: {view.reason}")
    return view


async def edges(nodes: int, flags: dict[str, Any]) -> dict[str, float]:
    """Milliseconds of an edge, in a chain of so many nodes."""
    with harness.server(**flags) as settings, harness.nodes(settings, 1, quiet=True):
        async with harness.store_client(settings) as opened, Forge(settings) as forge:
            await _view(opened, await forge.submit_workflow(chain_of(NODES)))
            view = await _view(opened, await forge.submit_workflow(chain_of(nodes, "bench.clock")), results=True)
    starts = [int(each.result or b"") for each in view.nodes]
    found = sorted((after - before) / 1e6 for before, after in itertools.pairwise(starts))
    return {f"p{percent:g}": harness.percentile(found, percent) for percent in (50, 99)}


async def map_end(items: int, flags: dict[str, Any]) -> dict[str, float]:
    """Seconds of a map: from the end of its last item to its own, and all of it."""
    source = node("bench.list", {"length": items}, id="source")
    workflow = dag("bench.map", map_over(source.result, "bench.noop", id="each"))
    with harness.server(**flags) as settings, harness.nodes(settings, 1, quiet=True):
        async with harness.store_client(settings) as opened, Forge(settings) as forge:
            view = await _view(opened, await forge.submit_workflow(workflow))
            mapped = next(each for each in view.nodes if each.id == "each")
            jobs = [view.job for view in await all_completed(opened) if view.job.kind == "bench.noop"]
    if len(jobs) != items:
        raise RuntimeError(f"of {items} items {len(jobs)} have completed")
    last = max(job.ended_ms for job in jobs)
    return {"end": (mapped.ended_ms - last) / 1000, "all": (mapped.ended_ms - view.created_ms) / 1000}


async def _memory(count: int, shape: str, flags: dict[str, Any]) -> float:
    """Bytes that a workflow takes that waits to begin."""
    with harness.server(**flags) as settings:
        async with harness.store_client(settings) as opened, Forge(settings) as forge:
            await submit(forge, SHAPES[shape](NODES), WARMING)
            before = (await opened.inspector.health()).used_memory
            await submit(forge, SHAPES[shape](NODES), count)
            return ((await opened.inspector.health()).used_memory - before) / count


async def run(*, jobs: int = 100_000, repeats: int = 3, nodes: Sequence[int] = (1, 2), **flags: Any) -> dict[str, Any]:
    """`jobs`: nodes of all workflows of a run, and items of the map."""
    figures: dict[str, Any] = {}
    for durability in ("relaxed", "local"):
        given = {**flags, "durability": durability}
        for shape, count in itertools.product(SHAPES, (0, *nodes)):
            how = f"{count} node{'s' if count > 1 else ''}" if count else "only submitted"
            measure = functools.partial(once, shape, jobs // NODES, count, given)
            figures[f"{shape}, {durability}, {how}, workflows/s"] = await _figure(repeats, measure)
        figures[f"an edge, {durability}, ms"] = await edges(EDGES, given)
    figures |= {f"a map of {jobs:,}, seconds": await map_end(jobs, flags)}
    figures |= {f"memory of a waiting {shape}": {"bytes": await _memory(jobs // 100, shape, flags)} for shape in SHAPES}
    return {"unit": "in the rows", "jobs": jobs, "figures": figures}
