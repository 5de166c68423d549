"""What ends workflows, begins them again and forks them is stopped between any two commands, or done by two at once: it
comes to the same."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest

from ironforge.errors import InvalidState
from ironforge.job.limits import Limit
from ironforge.job.record import new_id, shard_of
from ironforge.redis.shards import shards_of
from ironforge.store.producer.admission import Admission
from ironforge.store.steps.links import ShardLink
from ironforge.store.workflows.again.forking import Forking
from ironforge.store.workflows.again.retrying import Retrying
from ironforge.store.workflows.again.superseding import Superseding
from ironforge.store.workflows.contract import Fork
from ironforge.store.workflows.finishing import Finishing
from tests.store.kit import Cluster, job_in
from tests.store.workflows.flow import Flow, prepared, submission, submitted
from tests.store.workflows.test_finishing import keys_of, run, told
from tests.store.workflows.test_interrupted import Cut, Stopped, links_of
from tests.store.workflows.test_shards import SHARDS, key_of
from tests.workflows.documents import node, workflow

pytestmark = pytest.mark.slow

UNDO = [node("a", compensate="undo.a"), node("b", "a", compensate="undo.b"), node("c", "b")]


@contextlib.asynccontextmanager
async def shards(server: str) -> AsyncIterator[Cluster]:
    cluster = Cluster(server)
    cluster.with_settings(shards=SHARDS)
    await cluster.store_client.limits.put("one", Limit(concurrency=1))
    yield cluster
    await cluster.close()


async def begun(cluster: Cluster, *nodes: dict[str, Any], apart: bool = False, **more: Any) -> Flow:
    """In the first shard. `apart`: what undoes nodes and is told of the end lies in the second one."""
    one = submission(workflow(*nodes, **more), id=new_id(0))
    if apart:
        options = workflow(node("x", options={"limits": [{"name": "one", "key": key_of(1)}]})).nodes[0].options
        assert options is not None
        checked = options.checked()
        ready = one.prepared._replace(
            undoing={number: checked for number, each in enumerate(nodes) if "compensate" in each},
            callbacks={"completed": checked, "failed": checked},
        )
        one = one._replace(prepared=ready)
    await cluster.store_client.workflows.submit([one])
    return Flow(cluster, await cluster.node(), one)


async def is_done(call: Callable[[], Awaitable[Any]]) -> bool:
    try:
        await call()
    except Stopped:
        return False
    return True


def finishing(flow: Flow, cut: Cut) -> Callable[[], Awaitable[bool]]:
    own = flow.node.work._parts[0]  # type: ignore[attr-defined]
    return Finishing(flow.cluster.settings, own.lease, links_of(flow.node, cut)).sweep


async def move_on(flow: Flow) -> None:
    """What the ends of jobs mean, but for what scripts leave to nodes."""
    for part in flow.node.work._parts:  # type: ignore[attr-defined]
        while await part._families.sweep():
            pass
    await flow.node.work._parts[0]._advancer._advance()  # type: ignore[attr-defined]


async def undone(flow: Flow, finish: Callable[[], Awaitable[None]]) -> list[str]:
    """The nodes in the order in which they are undone, until it has ended."""
    names = []
    for _ in range(10):
        await move_on(flow)
        await finish()
        await flow.settle()
        assert await flow.started() == []
        found = [name for name in flow.deliveries if name.startswith("undo ")]
        assert len(found) <= 1
        if not found:
            break
        names.append(found[0].removeprefix("undo "))
        await flow.end(found[0], move=False)
    return names


@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("apart", [False, True], ids=["here", "apart"])
async def test_each_node_is_undone_once_however_that_is_stopped(server: str, *, apart: bool, behind: bool) -> None:
    cut_short = 0
    for at in itertools.count():
        async with shards(server) as cluster:
            flow = await begun(cluster, *UNDO, apart=apart, on_failure="told")
            await run_all(flow)
            cut = Cut(at, behind=behind)
            stopped = []

            async def finish() -> None:
                stopped.append(not await is_done(finishing(flow, cut)))  # noqa: B023 - at once

            assert await undone(flow, finish) == ["b", "a"]
            view = await flow.view()
            assert (view.status, view.reason) == ("failed", "node c failed")
            (job,) = await told(flow)
            assert shard_of(job.id, SHARDS) == int(apart)
            assert msgspec.json.decode(job.payload)["status"] == "failed"
            assert await flow.node.work.audit_workflows() == 0
        cut_short += any(stopped)
        if not any(stopped):
            break
    assert cut_short > 10


async def test_and_by_two_at_once(server: str) -> None:
    async with shards(server) as cluster:
        flow = await begun(cluster, *UNDO, on_failure="told")
        others = [flow.node, await cluster.node()]
        await run_all(flow)

        async def finish() -> None:
            sweeps = (part._parts[0]._advancer._sweeps[-1] for part in (each.work for each in others))
            await asyncio.gather(*(sweep() for sweep in sweeps))

        assert await undone(flow, finish) == ["b", "a"]
        assert len(await told(flow)) == 1


async def run_all(flow: Flow) -> None:
    for name in "abc":
        while name not in flow.running:
            await flow.started()
        await flow.end(name, how="dead" if name == "c" else "completed", move=False)


# --------------------------------------------------------------------------- again


def link_of(flow: Flow, cut: Cut) -> ShardLink:
    """As a door has it."""
    links = flow.cluster.store_client.workflows._links  # type: ignore[attr-defined]
    return ShardLink(links[0].keys, cut.over(links[0].connection), Admission(flow.cluster.settings))


@contextlib.asynccontextmanager
async def failed(server: str) -> AsyncIterator[Flow]:
    async with shards(server) as cluster:
        flow = await begun(cluster, *UNDO, node("d", "a"), on_success="told")
        await run(flow, c="dead")
        await flow.undo("b", how="dead")
        assert (await flow.view()).status == "failed"
        yield flow


@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
async def test_a_workflow_is_retried_once_however_that_is_stopped(server: str, *, behind: bool) -> None:
    for at in itertools.count():
        async with failed(server) as flow:
            link = link_of(flow, Cut(at, behind=behind))
            others = flow.cluster.store_client.workflows._links[1:]  # type: ignore[attr-defined]
            superseding = Superseding(flow.cluster.settings, [link, *others])
            retrying = Retrying(flow.cluster.settings, link, SHARDS, superseding)
            most = flow.cluster.store_client.workflows._most  # type: ignore[attr-defined]
            is_whole = await is_done(lambda: retrying.retry(flow.id, most))  # noqa: B023 - at once
            with contextlib.suppress(InvalidState):
                await flow.cluster.store_client.workflows.retry(flow.id)
            assert await flow.started() == ["b"]
            assert {job_in(delivery).revivals for delivery in flow.deliveries.values()} == {0}
            await run(flow)
            view = await flow.view()
            assert (view.status, view.generation) == ("completed", 1)
            assert len(await told(flow)) == 1
            assert await flow.node.work.audit_workflows() == 0
            for keys in shards_of(flow.cluster.settings):
                lasting = list(flow.cluster.raw.scan_iter(keys.prefix + "graph:*"))
                assert all(flow.cluster.raw.ttl(key) > 0 for key in lasting)
        if is_whole:
            break
    assert at > 5


@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
async def test_a_fork_is_made_once_however_that_is_stopped(server: str, *, behind: bool) -> None:
    for at in itertools.count():
        async with failed(server) as flow:
            workflows: Any = flow.cluster.store_client.workflows
            asked = Fork(new_id(flow.id[-1]), "d")
            cut = Forking(flow.cluster.settings, link_of(flow, Cut(at, behind=behind)), workflows._commits[0], SHARDS)
            is_whole = await is_done(lambda: cut.fork(flow.id, asked, prepared, workflows._most))  # noqa: B023
            await workflows.fork(flow.id, asked, prepared)
            other = Flow.of(flow.cluster, flow.node, asked.id)
            assert await other.started() == ["b", "d"]
            await run(other)
            view = await other.view()
            assert (view.status, view.nodes[0].result) == ("completed", b'{"of":"a"}')
        if is_whole:
            break
    assert at > 3


async def test_one_that_is_dead_is_not_looked_at_for_ever(cluster: Cluster) -> None:
    """The end of what undid a node may be told twice: the second time when its workflow has ended."""
    flow = await submitted(cluster, node("a", compensate="undo"), node("b", "a"))
    assert await flow.started() == ["a"]
    await flow.end("a")
    assert await flow.started() == ["b"]
    await flow.end("b", how="dead")
    await flow.settle()
    await flow.undo("a")
    assert (await flow.view()).status == "failed"
    cluster.raw.zadd(flow.keys.advance, {flow.id + b"s10000.0": 1})
    await flow.settle()
    assert cluster.raw.zrange(flow.keys.finishing, 0, -1) == []


async def test_one_that_ends_before_it_begins_is_kept_no_longer_than_others(cluster: Cluster) -> None:
    """It is cancelled at once: that it begins is looked at when it has ended."""
    flow = await submitted(cluster, node("a"), node("b", "a"))
    begin = flow.items()
    await cluster.store_client.workflows.cancel(flow.id)
    await flow.see_to()
    assert (await flow.view()).status == "cancelled"
    cluster.raw.zadd(flow.keys.advance, {begin[0]: 1})
    await flow.settle()
    assert sorted(keys_of(flow)) == ["graph", "progress"]
    assert -1 not in keys_of(flow).values()
