"""How jobs become suspects in a test of the store: nodes die that held them."""

from __future__ import annotations

from ironforge.job.record import Job
from tests.store.kit import Cluster, Node, job


async def crash(cluster: Cluster, victim: Node, heir: Node) -> None:
    cluster.lapse(victim)
    await heir.leases.take_over(heir.lease, victim.lease.node)


async def suspects(cluster: Cluster, *jobs: Job) -> None:
    """These jobs were held by a node that died, and now wait to run alone."""
    await cluster.submit(*jobs)
    victim, heir = await cluster.node(), await cluster.node()
    assert len(await victim.work.fetch(len(jobs))) == len(jobs)
    await crash(cluster, victim, heir)
    await heir.leases.leave(heir.lease)


def held_by_dead(**fields: object) -> Job:
    """Held by one node that died: the next crash makes it a suspect."""
    return job(crashes=1, **fields)


async def see(cluster: Cluster, node: Node) -> bool:
    """What the node knows after its next look."""
    node.work.reader.selector._looked_at = node.work.reader.selector._sought_at = float("-inf")
    assert await node.work.fetch(5) == []
    return node.work.alone.wait
