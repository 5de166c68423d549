"""A key of limits that holds something of another type: no job is lost that has to leave its node meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from ironforge.errors import StoreError
from ironforge.job.limits import throttled_mark
from ironforge.job.record import JobState
from ironforge.store import Delivery, Rewrite
from tests.store.kit import HOUR_MS, Cluster, dead, job_in, limited, retry, rewrite
from tests.support.waiting import until


class Move(NamedTuple):
    name: str
    rewritten: Callable[[Delivery], Rewrite]
    state: JobState


def throttled(delivery: Delivery) -> Rewrite:
    used = job_in(delivery).limits[0]
    return Rewrite.of(*delivery[:2], job_in(delivery).again(), failed=False, throttled=throttled_mark({used: HOUR_MS}))


MOVES = [
    Move("park", retry, JobState.SCHEDULED),
    Move("park", throttled, JobState.QUEUED),
    Move("bury", dead, JobState.DEAD),
    Move("decline", rewrite, JobState.QUEUED),
]


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("name", ["room", "probes", "stops", "dueroom", "in_use"])
async def test_a_job_waits_in_its_node_for_a_key_that_leaving_needs(
    one: Cluster, move: Move, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> list[Any]:
        return [said.msg for said in caplog.records if "wrong_type" in str(said.msg)]

    node = await one.node()
    (held,) = limited(1)
    await one.submit(held)
    (delivery,) = await node.work.fetch(10)
    one.raw.delete(getattr(one.keys, name))
    one.raw.set(getattr(one.keys, name), "somebody's text")
    leaving = asyncio.create_task(getattr(node.work, move.name)([move.rewritten(delivery)]))
    await until(lambda: leaving.done() or told(), "it to leave, or to wait")
    one.raw.delete(getattr(one.keys, name))
    await leaving
    assert await one.state(held) is move.state
    assert one.raw.hexists(one.keys.parked, held.id)


@pytest.mark.parametrize("move", MOVES)
async def test_a_job_leaves_whatever_stands_where_the_holders_of_its_limit_were(one: Cluster, move: Move) -> None:
    node = await one.node()
    (held,) = limited(1)
    await one.submit(held)
    (delivery,) = await node.work.fetch(10)
    one.raw.set(one.keys.holders("one\na"), "somebody's text")
    await getattr(node.work, move.name)([move.rewritten(delivery)])
    one.raw.delete(one.keys.holders("one\na"))
    assert await one.state(held) is move.state
    assert one.raw.hexists(one.keys.parked, held.id)


async def test_a_submission_behind_a_stopped_key_is_refused_as_a_whole(one: Cluster) -> None:
    node = await one.node()
    await one.submit(*limited(1))
    (delivery,) = await node.work.fetch(10)
    await node.work.park([throttled(delivery)])
    one.raw.delete(one.keys.dueroom)
    one.raw.set(one.keys.dueroom, "somebody's text")
    before = one.snapshot()
    with pytest.raises(StoreError):
        await one.submit(*limited(1))
    assert one.snapshot() == before
    one.raw.delete(one.keys.dueroom)
