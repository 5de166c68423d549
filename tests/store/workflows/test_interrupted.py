"""What nodes do for workflows is stopped between any two commands, or done by two at once: it comes to the same."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from ironforge.job.limits import Limit
from ironforge.job.record import decode, new_id, tail_of
from ironforge.job.uniqueness import UniqueUse
from ironforge.redis.shards import shards_of
from ironforge.store import Submission
from ironforge.store.steps.links import ShardLinks
from ironforge.store.workflows.ready_nodes import ReadyNodes
from ironforge.store.workflows.stopping import StoppingWorkflows
from tests.store.kit import Cluster, Node, job, job_in
from tests.store.workflows.flow import Flow, submission, submitted
from tests.store.workflows.test_shards import SHARDS, key_of, limit
from tests.workflows.documents import node, workflow

pytestmark = pytest.mark.slow

Sweep = Callable[[], Awaitable[bool]]
Begin = Callable[[], AbstractAsyncContextManager[Flow]]


class Stopped(Exception):
    """What ends a node in the middle."""


class Cut:
    """Connections that are cut at the command with this number, in front of it or behind it."""

    def __init__(self, at: int, *, behind: bool) -> None:
        self._left = at
        self._behind = behind

    def over(self, connection: Any) -> Any:
        return _CutConnection(connection, self)

    async def of(self, command: Callable[[], Awaitable[Any]]) -> Any:
        self._left -= 1
        if self._left == -1 and not self._behind:
            raise Stopped
        reply = await command()
        if self._left == -1:
            raise Stopped
        return reply


class _CutConnection:
    def __init__(self, connection: Any, cut: Cut) -> None:
        self._connection = connection
        self._cut = cut

    async def call(self, *words: Any, **options: Any) -> Any:
        return await self._cut.of(lambda: self._connection.call(*words, **options))

    async def pipeline(self, *words: Any, **options: Any) -> Any:
        return await self._cut.of(lambda: self._connection.pipeline(*words, **options))

    async def run(self, *words: Any) -> Any:
        return await self._cut.of(lambda: self._connection.run(*words))

    async def exchange(self, *words: Any) -> Any:
        return await self._cut.of(lambda: self._connection.exchange(*words))


def links_of(worker: Node, cut: Cut) -> ShardLinks:
    """To the first shard, where the workflow lies."""
    links: ShardLinks = worker.work._parts[0]._families._links  # type: ignore[attr-defined]
    return ShardLinks([link._replace(connection=cut.over(link.connection)) for link in links.shards], 0)


# --------------------------------------------------------------------------- what there is to do


@contextlib.asynccontextmanager
async def ready(server: str) -> AsyncIterator[Flow]:
    """Nodes of all kinds that are about to be submitted."""
    cluster = Cluster(server)
    cluster.with_settings(shards=SHARDS)
    for name in ("one", "gone"):
        await cluster.store_client.limits.put(name, Limit(concurrency=1))
    for name, at in HELD.items():
        held = job(kind=f"do.{name}", unique=UniqueUse(key_of(at)), id=new_id(at))
        await cluster.store_client.producer.submit([Submission(held)])
    one = submission(workflow(*NODES), id=new_id(0))
    await cluster.store_client.workflows.submit([one])
    await cluster.store_client.limits.delete("gone")
    flow = Flow(cluster, await cluster.node(), one)
    await flow.node.work._parts[0]._advancer._advance()  # type: ignore[attr-defined]
    yield flow
    await cluster.close()


def use(key: str, on_conflict: str) -> dict[str, Any]:
    return {"unique": {"key": key, "on_conflict": on_conflict}}


# Of the unique keys that jobs hold already: the shard.
HELD = {"held": 0, "taken": 0, "held_apart": 1, "taken_apart": 1}
NODES = [
    {**node(name, options=options), "on_failure": "skip_dependents"}
    for name, options in {
        "later": {"delay_seconds": 60},
        "limited": limit(key_of(0)),
        "refused": {"limits": [{"name": "gone", "key": key_of(0)}]},
        "held": use(key_of(0), "return"),
        "taken": use(key_of(0), "replace"),
        "apart": limit(key_of(1)),
        "refused_apart": {"limits": [{"name": "gone", "key": key_of(1)}]},
        "held_apart": use(key_of(1), "return"),
        "taken_apart": use(key_of(1), "replace"),
    }.items()
]
SUBMITTED = {
    **dict.fromkeys(("later", "limited", "taken", "apart", "taken_apart"), "running"),
    **dict.fromkeys(("refused", "refused_apart"), "failed"),
    **dict.fromkeys(("held", "held_apart"), "cancelled"),
}


def jobs_of(flow: Flow) -> list[str]:
    """The nodes that have a job, each as often as it is there."""
    found: list[str] = []
    for keys in shards_of(flow.cluster.settings):
        raw = flow.cluster.raw
        records = raw.hvals(keys.parked)
        for stream in raw.keys(keys.prefix + "q:*"):
            records += [fields[b"j"] for _, fields in raw.xrange(stream)]
        parents = [one.parent for one in map(decode, records)]
        found += [parent.node for parent in parents if parent and parent.id == flow.id]
    return sorted(found)


async def check_submitted(flow: Flow) -> None:
    await flow.see_to()
    assert await flow.states() == SUBMITTED
    assert jobs_of(flow) == sorted(name for name, state in SUBMITTED.items() if state == "running")
    assert flow.cluster.raw.exists(flow.keys.ready) == 0
    assert await flow.node.work.audit_workflows() == 0


async def until_it_is_whole(
    begin: Begin, sweep: Callable[[Flow, ShardLinks], Sweep], check: Callable[[Flow], Awaitable[None]], *, behind: bool
) -> int:
    """Cut at each command in turn; how many there were."""
    for at in itertools.count():
        async with begin() as flow:
            is_whole = await is_done(sweep(flow, links_of(flow.node, Cut(at, behind=behind))))
            await check(flow)
        if is_whole:
            break
    return at


async def is_done(sweep: Sweep) -> bool:
    try:
        await sweep()
    except Stopped:
        return False
    return True


@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
async def test_nodes_are_submitted_once_however_that_is_stopped(server: str, *, behind: bool) -> None:
    def sweep(flow: Flow, links: ShardLinks) -> Sweep:
        return ReadyNodes(flow.cluster.settings, links).sweep

    assert await until_it_is_whole(lambda: ready(server), sweep, check_submitted, behind=behind) > 20


async def test_and_by_two_at_once(server: str) -> None:
    for _ in range(5):
        async with ready(server) as flow:
            others = [flow.node, await flow.cluster.node()]
            links = [links_of(each, Cut(1_000_000, behind=False)) for each in others]
            await asyncio.gather(*(ReadyNodes(flow.cluster.settings, each).sweep() for each in links))
            await check_submitted(flow)


# --------------------------------------------------------------------------- stopping


async def test_what_is_asked_for_once_more_does_not_start_again(one: Cluster) -> None:
    flow = await submitted(one, node("a", options=limit("a")), node("b", "a"))
    assert await flow.started() == ["a"]
    await flow.end("a")
    assert await flow.started() == ["b"]
    one.raw.zadd(flow.keys.ready, {flow.id + b"0.0": 1})
    await flow.see_to()
    assert await flow.started() == []
    assert await flow.states() == {"a": "succeeded", "b": "running"}
    assert one.raw.exists(flow.keys.ready) == 0


@contextlib.asynccontextmanager
async def stopping(server: str, how: str) -> AsyncIterator[Flow]:
    """A workflow with jobs in all places that has failed, or was cancelled."""
    async with ready(server) as flow:
        await flow.see_to()
        assert await flow.started() == ["apart", "limited", "taken", "taken_apart"]
        if how == "cancelled":
            await flow.cluster.store_client.workflows.cancel(flow.id)
        else:
            flow.fail()
        yield flow


async def check_cancelled(flow: Flow) -> None:
    await flow.see_to()
    running = {name: job_in(delivery).id for name, delivery in flow.deliveries.items()}
    assert await flow.node.work.cancel_requested([*running.values()]) == [*running.values()]
    await check_stopped(flow)


async def check_failed(flow: Flow) -> None:
    await flow.see_to()
    running = [job_in(delivery).id for delivery in flow.deliveries.values()]
    assert await flow.node.work.cancel_requested(running) == []
    await check_stopped(flow)


async def check_stopped(flow: Flow) -> None:
    states = await flow.states()
    assert {name: states[name] for name in flow.deliveries} == dict.fromkeys(flow.deliveries, "running")
    assert states["later"] == "cancelled"
    assert flow.cluster.raw.exists(flow.keys.stopping) == 0
    assert await flow.node.work.audit_workflows() == 0


@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("how", ["cancelled", "failed"])
async def test_open_nodes_are_asked_to_stop_however_that_is_stopped(server: str, how: str, *, behind: bool) -> None:
    def sweep(flow: Flow, links: ShardLinks) -> Sweep:
        return StoppingWorkflows(flow.cluster.settings, links).sweep

    check = check_cancelled if how == "cancelled" else check_failed
    assert await until_it_is_whole(lambda: stopping(server, how), sweep, check, behind=behind) > 10


async def test_what_is_cancelled_while_it_is_submitted_ends(server: str) -> None:
    """In front of any command of the submission."""

    def sweep(flow: Flow, links: ShardLinks) -> Sweep:
        return ReadyNodes(flow.cluster.settings, links).sweep

    async def check(flow: Flow) -> None:
        await flow.cluster.store_client.workflows.cancel(flow.id)
        for _ in range(3):
            await flow.see_to()
        assert {*(await flow.states()).values()} <= {"cancelled", "failed"}
        assert jobs_of(flow) == []
        assert flow.cluster.raw.exists(flow.keys.stopping, flow.keys.ready) == 0
        assert (await flow.view()).status == "cancelled"

    await until_it_is_whole(lambda: ready(server), sweep, check, behind=False)


def test_keys_lead_where_the_test_says() -> None:
    assert [tail_of(key_of(shard)) % SHARDS for shard in range(SHARDS)] == [0, 1, 2]
