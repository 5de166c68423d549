"""What a job and its children have to do with each other: they end with it, and some are submitted again with it."""

from __future__ import annotations

import pytest

from ironforge.errors import InvalidState
from ironforge.job.record import JobState
from ironforge.store import Rewrite
from tests.store.kit import HOUR_MS, Cluster, completed, job_in, now_ms, rewrite, settle
from tests.store.steps.family import STEP, Family, again, begun, die, finish, plain, sweep

# --------------------------------------------------------------------------- ends of parents


@pytest.mark.parametrize("end", ["completed", "cancelled", "not kept", "dead"])
async def test_children_of_a_parent_that_ends_are_cancelled(cluster: Cluster, end: str) -> None:
    family = await begun(cluster)
    await family.submit(3)
    (running,) = await family.node.work.fetch(1)
    if end == "dead":
        await die(family)
    elif end == "not kept":
        await family.node.work.settle([completed(family.finished(), retention_ms=0)])
    else:
        await family.node.work.settle([completed(family.finished(), state=end)])  # type: ignore[arg-type]
    await sweep(family)
    assert await family.node.work.fetch(10) == []
    assert await family.node.work.cancel_requested([job_in(running).id]) == [job_in(running).id]
    assert len(family.open()) == 1
    await family.node.work.settle([completed(running, state="cancelled")])
    await sweep(family)
    assert family.open() == {}
    score = cluster.raw.zscore(cluster.keys.families, family.id)
    if end == "not kept":
        assert score is None
        assert family.ended() == {}
    elif end == "dead":
        assert score == 0
        assert len(family.ended()) == 3
    else:
        assert score > now_ms()


async def test_and_their_children_too(cluster: Cluster) -> None:
    family = await begun(cluster)
    await family.submit(1)
    (delivery,) = await family.node.work.fetch(1)
    child = Family(cluster, family.node, delivery)
    await child.submit(2)
    await child.node.work.park([rewrite(child.finished(), HOUR_MS)])
    await settle(family.node, [family.finished()])
    await sweep(family)
    assert await family.node.work.fetch(10) == []
    assert child.open() == {}
    assert family.open() == {}


async def test_a_parent_that_is_cancelled_while_it_waits_takes_its_children_with_it(cluster: Cluster) -> None:
    family = await begun(cluster)
    await family.submit(2)
    await family.node.work.park([rewrite(family.finished(), HOUR_MS)])
    assert await cluster.store_client.producer.cancel(family.id) is JobState.CANCELLED
    await sweep(family)
    assert await family.node.work.fetch(10) == []
    assert family.open() == {}


async def test_results_go_with_a_dead_parent_that_is_dropped(cluster: Cluster) -> None:
    cluster.with_settings(dead_retention_seconds=0.001)
    family = await begun(cluster)
    await family.submit(1)
    await finish(family, 1)
    await die(family)
    await sweep(family)
    assert family.ended() == {f"{STEP}\n0.0": "completed"}
    cluster.raw.zadd(cluster.keys.dead, {family.id: 1})
    await family.node.work.expire()
    await sweep(family)
    assert family.ended() == {}
    assert cluster.raw.zcard(cluster.keys.families) == 0


async def test_results_outlive_short_memory(cluster: Cluster) -> None:
    """Only what can be looked up is dropped for that."""
    family = await begun(cluster)
    await family.submit(1)
    await finish(family, 1)
    names = {key for key, _ in cluster.raw.zrange(cluster.keys.buckets, 0, -1, withscores=True)}
    assert not any(b":results:" in name for name in names)
    await settle(family.node, [family.finished()])


# --------------------------------------------------------------------------- coming back


async def test_a_parent_that_is_retried_submits_what_did_not_complete(cluster: Cluster) -> None:
    family = await begun(cluster)
    await family.submit(4)
    deliveries = await family.node.work.fetch(10)
    by_index = {parent.index: each for each in deliveries if (parent := job_in(each).parent)}
    await settle(family.node, [by_index[1], by_index[3]])
    await family.node.work.settle([completed(by_index[0], state="cancelled")])
    await die(family)
    await cluster.store_client.producer.retry(family.id, reset_retry_count=True)
    assert family.open() == {}

    # One of its former life completes late: it counts no more, and a new one goes all the same.
    await settle(family.node, [by_index[2]])
    family = await again(family)
    asked: list[int] = []
    await family.submit(4, lambda index: (asked.append(index), plain(index))[1])
    assert asked == [0]
    assert set(family.open()) == {f"{STEP}\n0.1"}
    await finish(family, 1)
    assert [each.ended for each in await family.results()] == ["completed"] * 4
    await sweep(family)
    await settle(family.node, [family.finished()])


async def test_children_of_a_former_life_are_cancelled_beside_those_of_the_new_one(cluster: Cluster) -> None:
    family = await begun(cluster)
    await family.submit(2)
    former = set(family.open().values())
    await die(family)
    await cluster.store_client.producer.retry(family.id, reset_retry_count=True)
    deliveries = await family.node.work.fetch(10)
    (delivery,) = [each for each in deliveries if job_in(each).id == family.id]
    assert {job_in(each).id for each in deliveries} == former | {family.id}
    family = Family(cluster, family.node, delivery)
    await family.submit(2)
    await sweep(family)
    asked = await family.node.work.cancel_requested([*former, *family.open().values()])
    assert set(asked) == former
    await family.node.work.requeue([rewrite(each) for each in deliveries if job_in(each).id in former])
    await sweep(family)
    assert set(family.open()) == {f"{STEP}\n0.1", f"{STEP}\n1.1"}
    await settle(family.node, [family.finished()])
    await sweep(family)
    assert family.open() == {}


async def test_a_dead_child_is_not_retried_alone(cluster: Cluster) -> None:
    family = await begun(cluster)
    await family.submit(1)
    (delivery,) = await family.node.work.fetch(1)
    dead = job_in(delivery).finish(JobState.DEAD, now_ms(), reason="no")
    await family.node.work.bury([Rewrite.of(*delivery[:2], dead)])
    with pytest.raises(InvalidState, match=family.run.job.text_id):
        await cluster.store_client.producer.retry(dead.id, reset_retry_count=True)
    await settle(family.node, [family.finished()])
