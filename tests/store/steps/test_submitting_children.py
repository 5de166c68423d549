"""Submitting the children of a job that runs: each once, whatever stops it."""

from __future__ import annotations

import msgspec
import pytest

from ironforge.errors import InvalidJob, LeaseLost, QueueFull
from ironforge.job.limits import LimitUse
from ironforge.job.uniqueness import UniqueUse
from ironforge.steps.children import decode_state
from ironforge.steps.errors import InvalidStep, StepError
from ironforge.steps.journal import EntryKind
from ironforge.store import Submission
from ironforge.store.steps import children as children_module
from tests.store.kit import Cluster, job, job_in, rewrite, settle
from tests.store.steps.family import STEP, again, begun, finish, plain, with_options
from tests.store.suspects import crash


async def test_children_are_jobs_like_others(cluster: Cluster) -> None:
    family = await begun(cluster)
    entry = await family.submit(3)
    assert entry.kind is EntryKind.WAIT
    assert decode_state(entry.result).is_complete
    found = [job_in(each) for each in await family.node.work.fetch(10)]
    assert [each.parent and each.parent.index for each in found] == [0, 1, 2]
    assert {each.id for each in found} == set(family.open().values())
    assert {each.id[-1] for each in found} == {family.id[-1]}
    await settle(family.node, [family.finished()])


async def test_a_step_without_children_waits_for_nothing(cluster: Cluster) -> None:
    family = await begun(cluster)
    entry = await family.submit(0)
    assert entry.kind is EntryKind.WAITED
    assert family.entry() == entry
    assert await family.results() == []
    await settle(family.node, [family.finished()])


async def test_who_submits_them_again_submits_none(cluster: Cluster) -> None:
    family = await begun(cluster)
    first = await family.submit(3)
    assert await family.submit(3) == first
    assert cluster.totals()["submitted"] == 4
    await settle(family.node, [family.finished()])


@pytest.mark.parametrize("shown", [1, 2, 3])
async def test_a_run_goes_on_where_one_before_it_was_stopped(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, shown: int
) -> None:
    monkeypatch.setattr(children_module, "AT_ONCE", 2)
    family = await begun(cluster)
    made = 0

    def make(index: int) -> Submission:
        nonlocal made
        made += 1
        if index >= 2 * shown:
            raise RuntimeError
        return plain(index)

    with pytest.raises(RuntimeError):
        await family.submit(8, make)
    await family.node.work.requeue([rewrite(family.finished())])
    family = await again(family)
    asked: list[int] = []
    await family.submit(8, lambda index: (asked.append(index), plain(index))[1])
    assert asked == list(range(2 * shown, 8))
    assert cluster.totals()["submitted"] == 9
    await settle(family.node, [family.finished()])


async def test_a_run_that_is_over_submits_none(cluster: Cluster) -> None:
    family = await begun(cluster)
    await family.node.work.requeue([rewrite(family.delivery)])
    with pytest.raises(StepError, match="told to stop"):
        await family.submit(3)
    assert family.open() == {}
    assert cluster.totals()["submitted"] == 1


async def test_nor_does_one_that_was_told_to_stop(cluster: Cluster) -> None:
    family = await begun(cluster)
    await cluster.store_client.producer.cancel(family.id)
    with pytest.raises(StepError, match="told to stop"):
        await family.submit(3)
    await settle(family.node, [family.finished()])


async def test_nor_does_a_node_that_has_lost_its_lease(cluster: Cluster) -> None:
    family, heir = await begun(cluster), await cluster.node()
    await crash(cluster, family.node, heir)
    with pytest.raises(LeaseLost):
        await family.submit(3)
    assert cluster.totals()["submitted"] == 1


async def test_another_number_of_children_is_refused(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children_module, "AT_ONCE", 2)
    family = await begun(cluster)
    with pytest.raises(ZeroDivisionError):
        await family.submit(4, lambda index: plain(index) if index < 2 else plain(1 // 0))
    with pytest.raises(InvalidStep, match="has 5 children in this run, in an earlier one it had 4"):
        await family.submit(5)
    with pytest.raises(InvalidStep, match="100001 children"):
        await family.submit(100_001, field="other")
    await settle(family.node, [family.finished()])


async def test_what_refuses_a_child_leaves_those_before_it(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children_module, "AT_ONCE", 2)
    family = await begun(cluster)
    with pytest.raises(InvalidJob, match="no limit"):
        await family.submit(4, lambda at: with_options(limits=(LimitUse("no", "a"),) if at > 1 else ())(at))
    assert len(family.open()) == 2
    await family.submit(4)
    assert len(family.open()) == 4
    await settle(family.node, [family.finished()])


async def test_a_full_queue_refuses_them(cluster: Cluster) -> None:
    cluster.with_settings(max_queue_length=2)
    family = await begun(cluster)
    with pytest.raises(QueueFull):
        await family.submit(3)
    assert family.open() == {}
    await settle(family.node, [family.finished()])


async def test_siblings_with_one_unique_key_end_as_their_policy_says(cluster: Cluster) -> None:
    family = await begun(cluster)
    unique = UniqueUse("u", on_conflict="replace")
    await family.submit(3, with_options(unique=unique))
    assert set(family.open()) == {f"{STEP}\n2.0"}
    assert family.ended() == {f"{STEP}\n0.0": "cancelled", f"{STEP}\n1.0": "cancelled"}
    await finish(family, 1)
    assert [each.ended for each in await family.results()] == ["cancelled", "cancelled", "completed"]
    await settle(family.node, [family.finished()])


async def test_a_child_that_takes_the_place_of_another_job_has_its_id(cluster: Cluster) -> None:
    family = await begun(cluster)
    other = msgspec.structs.replace(job(kind="child"), unique=UniqueUse("u"), version=2)
    await cluster.submit(other)
    await family.submit(1, with_options(unique=UniqueUse("u", on_conflict="replace")))
    assert family.open() == {f"{STEP}\n0.0": other.id}
    await finish(family, 1)
    assert family.ended() == {f"{STEP}\n0.0": "completed"}
    await settle(family.node, [family.finished()])
