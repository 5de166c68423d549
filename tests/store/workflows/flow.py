"""Workflows in a store, for tests: submitted, and moved on by a node that says how their jobs end."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from ironforge.job.record import Job, JobState, decode, encode, format_id, new_id, shard_of
from ironforge.redis.shards import shards_of
from ironforge.store import Delivery, Rewrite, Settled
from ironforge.store.steps.ends import drop_ties
from ironforge.store.workflows.contract import Prepared, WorkflowSubmission, WorkflowView
from ironforge.workflows.definition import MAX_NODES, Workflow
from ironforge.workflows.graph import Graph, graph_of
from ironforge.workflows.jobs import jobs_of
from ironforge.workflows.program import CELL, HEAD, Head, decode_progress
from ironforge.workflows.states import NodeState
from tests.store.kit import Cluster, Node, completed, job_in, now_ms
from tests.workflows.documents import workflow


def prepared(document: Workflow, graph: Graph | None = None) -> Prepared:
    """Without what nodes say of kinds."""
    graph = graph or graph_of(document)
    jobs = jobs_of(document, graph)
    options = [job.options.checked() for job in jobs]
    return Prepared(document, graph, jobs, options, tuple(sorted({each.record.queue for each in options})), "somebody")


def submission(document: Workflow, graph: Graph | None = None, **fields: Any) -> WorkflowSubmission:
    return WorkflowSubmission(fields.pop("id", None) or new_id(), prepared(document, graph), **fields)


class Flow:
    """A workflow, and a node that does what there is to do of it."""

    def __init__(self, cluster: Cluster, node: Node, one: WorkflowSubmission) -> None:
        self.document = one.prepared.document
        self._know(cluster, node, one.id)

    @classmethod
    def of(cls, cluster: Cluster, node: Node, workflow: bytes) -> Flow:
        """One that is there already."""
        made = cls.__new__(cls)
        made._know(cluster, node, workflow)
        return made

    def _know(self, cluster: Cluster, node: Node, workflow: bytes) -> None:
        self.cluster = cluster
        self.node = node
        self.id = workflow
        shards = shards_of(cluster.settings)
        self.keys = shards[shard_of(self.id, len(shards))]
        self.deliveries: dict[str, Delivery] = {}
        # Jobs that no workflow waits for.
        self.told: list[Job] = []

    @property
    def running(self) -> list[str]:
        """Nodes whose ends were not said yet."""
        return sorted(name for name in self.deliveries if not name.startswith("undo "))

    @property
    def progress(self) -> bytes:
        stored: bytes = self.cluster.raw.get(self.keys.progress(self.id.hex()))
        return stored

    @property
    def head(self) -> Head:
        return decode_progress(self.progress)[0]

    @property
    def text_id(self) -> str:
        return format_id(self.id)

    def fail(self) -> None:
        """As if one of its nodes had given up."""
        raw, (head, states) = self.cluster.raw, decode_progress(self.progress)
        left = sum(state is NodeState.RUNNING for state in states)
        raw.setrange(self.keys.progress(self.id.hex()), 0, head._replace(left=left, stopped="failed").encoded())
        raw.zadd(self.keys.stopping, {self.id + b"f": 1})

    def set_cell(self, number: int, cell: bytes) -> None:
        """As damage, or a bug, would."""
        self.cluster.raw.setrange(self.keys.progress(self.id.hex()), HEAD.size + CELL.size * number, cell)

    async def view(self, **options: Any) -> WorkflowView:
        return await self.cluster.store_client.workflows.view(self.id, **options)

    async def states(self) -> dict[str, str]:
        return {node.id: node.state.value for node in (await self.view()).nodes}

    async def advance(self) -> None:
        """Until nothing moves."""
        while self.items():
            await self.node.work.promote()

    async def settle(self) -> None:
        """Until nothing moves, and nothing is left for nodes to do."""
        await self.advance()
        for part in getattr(self.node.work, "_parts", [self.node.work]):
            for sweep in part._advancer._sweeps:
                while await sweep():
                    pass

    async def undoing(self) -> Job:
        """The job that undoes one of its nodes, which runs now."""
        assert await self.started() == []
        (running,) = [each for name, each in self.deliveries.items() if name.startswith("undo ")]
        return job_in(running)

    async def undo(self, name: str, *, how: str = "completed") -> None:
        """The job that undoes it ends so, and what follows from that is done."""
        assert (await self.undoing()).parent
        await self.end(f"undo {name}", how=how)
        await self.settle()

    async def drop_buckets(self) -> None:
        """As where memory is short."""
        for bucket in self.cluster.raw.zrange(self.keys.buckets, 0, -1):
            await drop_ties(self.node.work._connection, self.keys, bucket.decode())  # type: ignore[attr-defined]

    async def see_to(self) -> None:
        """What scripts leave to nodes, and what follows from that."""
        for part in getattr(self.node.work, "_parts", [self.node.work]):
            while await part._advancer._sweep(at_once=True) == 0:
                pass
        await self.advance()

    async def try_once(self) -> None:
        """What a node does for workflows when it comes by."""
        for part in getattr(self.node.work, "_parts", [self.node.work]):
            part._advancer._looked_at = -math.inf
            await part._advancer.advance(3)

    def items(self) -> list[bytes]:
        items: list[bytes] = self.cluster.raw.zrange(self.keys.advance, 0, -1)
        return items

    async def started(self) -> list[str]:
        """The nodes that have started since it was asked last, in the order of their names; they run now."""
        await self.advance()
        names = []
        while batch := await self.node.work.fetch(100):
            names += [name for delivery in batch if (name := self._take(delivery))]
        return sorted(names)

    def _take(self, delivery: Delivery) -> str:
        """The name of the node; empty of what undoes one, or is told of the end."""
        job = job_in(delivery)
        if job.parent is None:
            self.told.append(job)
        elif job.parent.id == self.id:
            undoes = job.parent.index >= MAX_NODES
            self.deliveries[f"undo {job.parent.node}" if undoes else job.parent.node] = delivery
            return "" if undoes else job.parent.node
        return ""

    async def end(self, *names: str, how: str = "completed", result: bytes = b"", move: bool = True) -> None:
        """These end so. `move`: and what follows from that is done."""
        taken = [self.deliveries.pop(name) for name in names]
        if how == "dead":
            await self.node.work.bury([_dead(delivery) for delivery in taken])
        elif how == "cancelled":
            await self.node.work.settle([completed(delivery, state="cancelled") for delivery in taken])
        else:
            await self.node.work.settle([_succeeded(delivery, result) for delivery in taken])
        if move:
            await self.advance()


def _dead(delivery: Delivery) -> Rewrite:
    return Rewrite.of(*delivery[:2], job_in(delivery).finish(JobState.DEAD, now_ms(), reason="no"))


def _succeeded(delivery: Delivery, result: bytes) -> Settled:
    settled = completed(delivery)
    return (*settled[:3], encode(msgspec.structs.replace(decode(settled[3]), result=result)), *settled[4:])


async def submitted(cluster: Cluster, *nodes: dict[str, Any], node: Node | None = None, **more: Any) -> Flow:
    one = submission(workflow(*nodes, **more))
    await cluster.store_client.workflows.submit([one])
    return Flow(cluster, node or await cluster.node(), one)


async def begun(cluster: Cluster, graph: Graph, node: Node) -> Flow:
    """Of any graph, also of one that no door would take."""
    document = Workflow(name="test", nodes=graph.nodes)
    one = submission(document, graph)
    await cluster.store_client.workflows.submit([one])
    return Flow(cluster, node, one)


def shown(job: Job) -> str:
    return format_id(job.id)
