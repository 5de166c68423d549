"""Steps of which only so many children may be there at once."""

from __future__ import annotations

import itertools

import pytest

from ironforge.steps.children import Window, decode_state
from ironforge.steps.errors import InvalidStep
from ironforge.steps.journal import EntryKind
from ironforge.steps.waits import Wait
from ironforge.store import NewWait
from tests.store.kit import Cluster, job_in, now_ms, settle
from tests.store.steps.family import STEP, Family, begun, die, finish, sweep

WINDOW = Window(3, 1)


async def submit(family: Family, count: int) -> int:
    """How many were submitted so far."""
    return decode_state((await family.submit(count, window=WINDOW)).result).submitted


async def park(family: Family, low: int = WINDOW.low) -> None:
    """It waits as a handler lets it, until no more of its children are open."""
    waiting = family.run.job.again(version=2, journal=True, wait=Wait("children", STEP, "", 0, low))
    await family.node.work.park_waiting([NewWait.of(*family.delivery[:2], waiting, now_ms())])


async def woken(family: Family) -> bool:
    return (await family.node.work.promote()).moved == 1


async def again(family: Family) -> Family:
    """Its next run; what else is there ends."""
    found = await family.node.work.fetch(10)
    (delivery,) = [each for each in found if job_in(each).id == family.id]
    await settle(family.node, [each for each in found if each != delivery])
    return Family(family.cluster, family.node, delivery)


async def told(cluster: Cluster, family: Family) -> bool:
    """Whether the end of a child tells those who look at what is due."""
    listener = cluster.raw.pubsub()
    listener.subscribe(family.keys.signals)
    assert next(listener.listen())["type"] == "subscribe"
    await finish(family, 1)
    cluster.raw.publish(family.keys.signals, "end")
    heard = list(itertools.takewhile(lambda said: said != b"end", (said["data"] for said in listener.listen())))
    listener.close()
    return b"due:0" in heard


@pytest.mark.parametrize(
    ("max_parallel", "count", "expected"),
    [
        (None, 5, None),
        (5, 5, None),
        (4, 5, Window(4, 3)),
        (1, 5, Window(1, 0)),
        (1_000, 5_000, Window(1_000, 900)),
    ],
)
def test_a_tenth_of_those_that_may_be_there_at_once_is_submitted_at_a_time(
    max_parallel: int | None, count: int, expected: Window | None
) -> None:
    assert Window.of(max_parallel, count) == expected


@pytest.mark.parametrize("max_parallel", [0, -1, True, 1.5, "2"])
def test_other_bounds_are_refused(max_parallel: object) -> None:
    with pytest.raises(InvalidStep, match=r"max_parallel is .*: give a whole number from 1 on"):
        Window.of(max_parallel, 5)


async def test_no_more_are_submitted_than_may_be_there(cluster: Cluster) -> None:
    family = await begun(cluster)
    assert await submit(family, 7) == 3
    assert await submit(family, 7) == 3
    assert len(family.open()) == 3
    await finish(family, 2)
    assert await submit(family, 7) == 5
    assert len(family.open()) == 3
    await settle(family.node, [family.finished()])


async def test_the_parent_runs_again_when_there_is_room_and_not_before(cluster: Cluster) -> None:
    family = await begun(cluster)
    await submit(family, 5)
    await park(family)
    assert not await woken(family)
    await finish(family, 1)
    assert not await woken(family)
    await finish(family, 1)
    assert await woken(family)
    entry = family.entry()
    assert entry is not None
    assert entry.kind is EntryKind.WAIT
    family = await again(family)
    assert await submit(family, 5) == 5
    await park(family, low=0)
    await finish(family, 1)
    assert not await woken(family)
    await finish(family, 1)
    assert await woken(family)
    entry = family.entry()
    assert entry is not None
    assert entry.kind is EntryKind.WAITED
    family = await again(family)
    assert len(await family.results()) == 5
    await settle(family.node, [family.finished()])


async def test_one_that_begins_to_wait_when_there_is_room_already_goes_on(cluster: Cluster) -> None:
    family = await begun(cluster)
    await submit(family, 5)
    await finish(family, 2)
    await park(family)
    assert await woken(family)
    await settle(family.node, [(await again(family)).finished()])


async def test_who_looks_at_what_is_due_is_told_when_there_is_room(cluster: Cluster) -> None:
    family = await begun(cluster)
    await submit(family, 5)
    await park(family)
    assert not await told(cluster, family)
    assert await told(cluster, family)


async def test_one_that_nobody_woke_is_found(cluster: Cluster) -> None:
    family = await begun(cluster)
    await submit(family, 5)
    await park(family)
    await finish(family, 2)
    cluster.raw.delete(family.keys.wake)
    assert await family.node.work.audit_families() == 1
    assert await woken(family)


async def test_one_that_comes_back_from_the_dead_letter_submits_those_that_have_not_completed(cluster: Cluster) -> None:
    family = await begun(cluster)
    await submit(family, 5)
    await finish(family, 2)
    await submit(family, 5)
    await die(family)
    await sweep(family)
    await cluster.store_client.producer.retry(family.id, reset_retry_count=True)
    family = await again(family)
    assert await submit(family, 5) == 5
    assert sorted(family.open()) == [f"{STEP}\n{index}.1" for index in (2, 3, 4)]
    await finish(family, 3)
    assert [each.parent and each.parent.index for each in await family.results()] == [0, 1, 2, 3, 4]
