"""Nodes of two versions of an application whose jobs of kind `k` stay with the one that began them."""

from __future__ import annotations

from ironforge.job.definition import Announcement, VersionPolicy
from ironforge.job.options import KindOptions
from ironforge.job.record import Job
from ironforge.store import Delivery, Rewrite
from ironforge.store.versions import stays
from tests.store.declining import declined
from tests.store.kit import Cluster, Node, job_in


async def node_of(cluster: Cluster, version: str, policy: VersionPolicy = "same", kind: str = "k") -> Node:
    cluster.with_settings(app_version=version)
    return await cluster.node([Announcement.of(kind, version, KindOptions(), None, policy)])


def begun(job: Job, version: str = "1") -> Job:
    """As a run of this version leaves it behind."""
    return stays(job, version).again()


def put_back(delivery: Delivery, version: str = "1") -> Rewrite:
    return Rewrite.of(*delivery[:2], begun(job_in(delivery), version))


async def begin(node: Node, *jobs: Job, version: str = "1") -> None:
    """A run of the node is over, and each job is to run again."""
    held = await node.work.fetch(len(jobs))
    assert {job_in(each).id for each in held} == {each.id for each in jobs}
    await node.work.requeue([put_back(each, version) for each in held])


async def decline(node: Node, count: int) -> None:
    await node.work.decline([declined(each) for each in await node.work.fetch(count)])


async def a_line(cluster: Cluster, *jobs: Job, version: str = "1") -> Node:
    """A node of version 2 that has declined these, which this version has begun, and left since."""
    old = await node_of(cluster, version)
    await cluster.submit(*jobs)
    await begin(old, *jobs, version=version)
    await old.leases.leave(old.lease)
    new = await node_of(cluster, "2")
    await decline(new, len(jobs))
    return new
