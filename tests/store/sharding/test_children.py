"""Children whose keys lead to other shards than their parent lies in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ironforge.errors import InvalidJob
from ironforge.job.limits import LimitUse
from ironforge.job.record import JobState, shard_of
from ironforge.job.uniqueness import OnConflict, UniqueUse
from ironforge.redis.shards import shards_of
from ironforge.store import Submission
from ironforge.store.steps import families
from tests.store.kit import Cluster, Node, dead, job, job_in, rewrite, settle
from tests.store.sharding.kit import SHARDS, fetched, lengths, text_in, unique
from tests.store.steps.family import STEP, Family, sweep


async def begun(cluster: Cluster, node: Node | None = None) -> Family:
    node = node or await cluster.node()
    await cluster.submit(job(kind="parent"))
    (delivery,) = await fetched(node, 1)
    return Family(cluster, node, delivery)


def apart(family: Family) -> str:
    """A key that leads to another shard than the family's."""
    return text_in((shard_of(family.id, SHARDS) + 1) % SHARDS)


def at_home(family: Family) -> str:
    return text_in(shard_of(family.id, SHARDS))


def with_limit(*texts: str) -> Callable[[int], Submission]:
    return lambda index: Submission(job(kind="child", limits=(LimitUse("one", texts[index]),)))


def with_unique(text: str, on_conflict: OnConflict = "return") -> Callable[[int], Submission]:
    return lambda _: Submission(job(kind="child", unique=UniqueUse(text, on_conflict=on_conflict)))


def outboxes(cluster: Cluster) -> int:
    return sum(cluster.raw.xlen(keys.outbox) for keys in shards_of(cluster.settings))


async def test_children_without_keys_lie_where_their_parent_does(sharded: Cluster) -> None:
    family = await begun(sharded)
    await family.submit(3)
    assert lengths(sharded)[shard_of(family.id, SHARDS)] == 4
    await settle(family.node, await fetched(family.node, 3))
    assert outboxes(sharded) == 0
    assert set(family.ended().values()) == {"completed"}
    await settle(family.node, [family.finished()])


async def test_one_with_a_limit_lies_where_its_key_does(with_limits: Cluster) -> None:
    family = await begun(with_limits)
    await family.submit(2, with_limit(apart(family), at_home(family)))
    assert lengths(with_limits)[shard_of(family.id, SHARDS)] == 2
    deliveries = await fetched(family.node, 2)
    await settle(family.node, deliveries)
    assert outboxes(with_limits) == 1
    assert set(family.open()) == {f"{STEP}\n0.0"}
    await sweep(family)
    assert outboxes(with_limits) == 0
    assert family.open() == {}
    assert [each.ended for each in await family.results()] == ["completed", "completed"]
    await settle(family.node, [family.finished()])


@pytest.mark.parametrize("how", ["dead", "cancelled"])
async def test_its_end_by_a_script_is_told_as_well(with_limits: Cluster, how: str) -> None:
    family = await begun(with_limits)
    await family.submit(1, with_limit(apart(family)))
    if how == "dead":
        (delivery,) = await fetched(family.node, 1)
        await family.node.work.bury([dead(delivery)])
    else:
        (job_id,) = family.open().values()
        assert await with_limits.store_client.producer.cancel(job_id) is JobState.CANCELLED
    await sweep(family)
    assert family.ended() == {f"{STEP}\n0.0": how}
    await settle(family.node, [family.finished()])


async def test_keys_of_one_child_must_not_lead_to_several_shards(with_limits: Cluster) -> None:
    family = await begun(with_limits)
    uses = LimitUse("one", apart(family)), LimitUse("two", at_home(family))
    with pytest.raises(InvalidJob, match="must have the same key"):
        await family.submit(1, lambda _: Submission(job(kind="child", limits=uses)))
    await settle(family.node, [family.finished()])


@pytest.mark.parametrize("at", ["opened", "stored"])
async def test_a_run_that_was_stopped_on_the_way_to_another_shard_is_gone_on_with(
    with_limits: Cluster, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    family = await begun(with_limits)
    parts: Any = family.node.work
    children = next(part.children for part in parts._parts if part._keys.prefix == family.keys.prefix)
    stopped = "_submit_to" if at == "opened" else "_advance"
    as_it_is = getattr(type(children), stopped)

    async def stop(*given: Any) -> None:
        if at == "opened" or given[2]:
            raise ZeroDivisionError
        await as_it_is(*given)

    make = with_limit(apart(family), at_home(family))
    with monkeypatch.context() as stopping:
        stopping.setattr(type(children), stopped, stop)
        with pytest.raises(ZeroDivisionError):
            await family.submit(2, make)
    await family.node.work.requeue([rewrite(family.finished())])
    deliveries = await fetched(family.node, 1 if at == "opened" else 2)
    (delivery,) = [each for each in deliveries if job_in(each).id == family.id]
    family = Family(with_limits, family.node, delivery)
    await family.submit(2, make)
    assert with_limits.raw.hlen(family.keys.index) == 2
    assert sum(lengths(with_limits)) == 3
    await settle(family.node, [each for each in deliveries if each != delivery])
    await settle(family.node, await fetched(family.node, 2 if at == "opened" else 1))
    await sweep(family)
    assert [each.ended for each in await family.results()] == ["completed", "completed"]
    await settle(family.node, [family.finished()])


@pytest.mark.parametrize("on_conflict", ["return", "reject"])
async def test_a_key_that_is_taken_there_ends_a_child(sharded: Cluster, on_conflict: OnConflict) -> None:
    family = await begun(sharded)
    text = apart(family)
    await sharded.submit(unique(text, kind="child"))
    await family.submit(1, with_unique(text, on_conflict))
    assert family.open() == {}
    assert family.ended() == {f"{STEP}\n0.0": "cancelled"}
    await settle(family.node, [family.finished()])


async def test_of_siblings_with_one_key_there_the_last_one_runs(sharded: Cluster) -> None:
    family = await begun(sharded)
    await family.submit(3, with_unique(apart(family), "replace"))
    await sweep(family)
    assert set(family.open()) == {f"{STEP}\n2.0"}
    await settle(family.node, await fetched(family.node, 1))
    await sweep(family)
    assert [each.ended for each in await family.results()] == ["cancelled", "cancelled", "completed"]
    await settle(family.node, [family.finished()])


async def test_children_there_are_cancelled_with_their_parent(with_limits: Cluster) -> None:
    family = await begun(with_limits)
    await family.submit(2, with_limit(apart(family), apart(family)))
    await settle(family.node, [family.finished()])
    await sweep(family)
    assert sum(lengths(with_limits)) == 0
    await sweep(family)
    assert family.open() == {}


async def test_a_shard_that_is_away_holds_up_no_end_for_others(
    with_limits: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = await begun(with_limits)
    await family.submit(1, with_limit(apart(family)))
    await settle(family.node, await fetched(family.node, 1))

    async def away(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as cut:
        cut.setattr(families, "deliver_ends", away)
        await sweep(family)
    assert outboxes(with_limits) == 1
    await sweep(family)
    assert family.ended() == {f"{STEP}\n0.0": "completed"}
    await settle(family.node, [family.finished()])
