"""Looking after jobs and their children: what is torn is found and mended, named by the doctor, and counted."""

from __future__ import annotations

import math

import pytest

from ironforge.doctor.families import torn_families
from ironforge.job.record import format_id
from ironforge.redis.connection import DoorConnection
from ironforge.store.inspector.usage import RedisUsage
from tests.store.kit import Cluster, settle
from tests.store.steps.family import STEP, again, begun, finish, sweep


async def test_a_parent_that_nobody_would_wake_is_found(cluster: Cluster) -> None:
    family = await begun(cluster)
    await family.submit(1)
    cluster.raw.zadd(cluster.keys.waiting("children"), {family.id: math.inf})
    await finish(family, 1)
    assert await family.node.work.audit_families() == 0
    cluster.raw.delete(cluster.keys.wake)
    assert await family.node.work.audit_families() == 1
    assert family.is_told()
    cluster.raw.delete(cluster.keys.waiting("children"))
    await settle(family.node, [family.finished()])


async def test_so_is_one_that_ended_without_its_children_being_seen_to(cluster: Cluster) -> None:
    family = await begun(cluster)
    await family.submit(1)
    await settle(family.node, [family.delivery])  # as one that has no journal
    assert await family.node.work.audit_families() == 1
    await sweep(family)
    assert family.open() == {}
    cluster.raw.delete(cluster.keys.steps(family.id.hex()))
    assert cluster.raw.zcard(cluster.keys.families) == 0


async def test_so_is_an_open_child_that_is_nowhere(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    family = await begun(cluster)
    await family.submit(1)
    (job_id,) = family.open().values()
    cluster.raw.hdel(cluster.keys.index, job_id)
    cluster.raw.delete(cluster.keys.stream("default:2"))
    assert await family.node.work.audit_families() == 0
    monkeypatch.setattr("ironforge.store.steps.family_audit.GRACE_SECONDS", 0.0)
    assert await family.node.work.audit_families() == 1
    assert [(each.id, each.ended) for each in await family.results()] == [(job_id, "cancelled")]
    cluster.checked = False


async def test_a_parent_that_a_node_cannot_read_keeps_its_children(cluster: Cluster) -> None:
    """It lies in the quarantine, until a newer node brings it back."""
    family = await begun(cluster)
    await family.submit(1)
    await family.node.work.bury_raw(family.finished(), "newer")
    assert await family.node.work.audit_families() == 0
    await sweep(family)
    await finish(family, 1)
    assert family.ended() == {f"{STEP}\n0.0": "completed"}
    assert await family.node.work.restore() == 1
    family = await again(family)
    assert [each.ended for each in await family.results()] == ["completed"]
    await settle(family.node, [family.finished()])


async def test_what_children_told_counts_among_the_stored_bytes(cluster: Cluster) -> None:
    family = await begun(cluster)
    usage = RedisUsage(cluster.settings)
    before = await usage.measure()
    await family.submit(50)
    await finish(family, 50)
    after = await usage.measure()
    assert after.stored_bytes > before.stored_bytes + 50 * 100 * 2  # as what can be looked up, and for the parent
    await usage.close()
    await settle(family.node, [family.finished()])


async def test_the_doctor_names_families_that_are_torn(cluster: Cluster) -> None:
    family = await begun(cluster)
    await family.submit(2)
    assert await torn(cluster) == []
    first, second = family.open().values()
    cluster.raw.hdel(cluster.keys.index, first)
    assert await torn(cluster) == [
        f"job {family.run.job.text_id} waits for its child {format_id(first)}, which is nowhere"
    ]
    cluster.raw.hdel(cluster.keys.index, family.id, second)
    assert f"job {family.run.job.text_id} is no more, and its children go on" in await torn(cluster)
    cluster.checked = False


async def test_and_parents_that_nothing_wakes(cluster: Cluster) -> None:
    family = await begun(cluster)
    await family.submit(1)
    await finish(family, 1)
    cluster.raw.zadd(cluster.keys.waiting("children"), {family.id: math.inf})
    assert await torn(cluster) == []
    cluster.raw.delete(cluster.keys.wake)
    (problem,) = await torn(cluster)
    assert "nothing wakes it" in problem
    cluster.checked = False


async def torn(cluster: Cluster) -> list[str]:
    async with DoorConnection(cluster.url, cluster.keys.prefix) as link:
        return await torn_families(link, cluster.keys)
