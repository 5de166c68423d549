"""Jobs that a node has declined, for the tests of all that has to know of them."""

from __future__ import annotations

from ironforge.job.record import Job, decode
from ironforge.store import Delivery, Rewrite
from tests.store.kit import Cluster, Node, job_in
from tests.store.test_kinds import announced


def declined(delivery: Delivery) -> Rewrite:
    stream, entry, record = delivery
    return Rewrite(stream, entry, decode(record).id, record)


async def a_line(cluster: Cluster, *jobs: Job) -> Node:
    """A node that has declined these."""
    old = await cluster.node([])
    await cluster.submit(*jobs)
    await old.work.decline([declined(each) for each in await old.work.fetch(len(jobs))])
    return old


async def knowing(cluster: Cluster, *kinds: str) -> Node:
    return await cluster.node(announced(*kinds or ("k",)))


async def ids(node: Node, want: int = 10) -> list[bytes]:
    return [job_in(each).id for each in await node.work.fetch(want)]
