"""Keys of one job or one event that somebody else has overwritten: who has nothing to do with them goes on."""

from __future__ import annotations

import pytest

from ironforge.job.record import JobState
from tests.store.kit import HOUR_MS, Cluster, completed, job, job_in, now_ms
from tests.store.steps.waiting import hour_from_now, kept, over, waiting

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("what", ["sleep", "event"])
async def test_a_journal_of_another_type_keeps_its_job_waiting_and_no_other(cluster: Cluster, what: str) -> None:
    node = await cluster.node()
    jobs = [job() for _ in range(3)]
    await cluster.submit(*jobs)
    event = "paid" if what == "event" else ""
    held = await node.work.fetch(3)
    await node.work.park_waiting([waiting(each, what, event, hour_from_now()) for each in held])  # type: ignore[arg-type]
    journal = cluster.keys.steps(jobs[0].id.hex())
    cluster.raw.rename(journal, journal + "aside")
    cluster.raw.set(journal, "x")
    if what == "event":
        await cluster.store_client.events.send("paid", b"7", HOUR_MS)
    for one in jobs:
        over(cluster, one, what)
    await node.work.promote()
    woken = await node.work.fetch(3)
    assert {job_in(each).id for each in woken} == {jobs[1].id, jobs[2].id}
    assert cluster.raw.zscore(cluster.keys.waiting(what), jobs[0].id) > now_ms()
    assert await node.work.audit_waits() == 0
    cluster.raw.rename(journal + "aside", journal)
    over(cluster, jobs[0], what)
    await node.work.promote()
    woken += await node.work.fetch(1)
    assert len(woken) == 3
    await node.work.settle([completed(kept(each)) for each in woken])


@pytest.mark.parametrize("key", ["event", "eventwaiters"])
async def test_an_event_of_another_type_keeps_those_waiting_that_wait_for_it(cluster: Cluster, key: str) -> None:
    node = await cluster.node()
    jobs = [job() for _ in range(2)]
    await cluster.submit(*jobs)
    held = await node.work.fetch(2)
    await node.work.park_waiting(
        [waiting(each, "event", name, hour_from_now()) for each, name in zip(held, ("broken", "paid"), strict=True)]
    )
    for name in ("broken", "paid"):
        await cluster.store_client.events.send(name, b"7", HOUR_MS)
    wrong = f"{cluster.keys.prefix}{key}:broken"
    cluster.raw.rename(wrong, wrong + "aside")
    cluster.raw.lpush(wrong, "x")
    await node.work.promote()
    woken = await node.work.fetch(2)
    assert [job_in(each).id for each in woken] == [job_in(held[1]).id]
    assert ((await node.work.promote()).next_ms or 0) > 0
    cluster.raw.rename(wrong + "aside", wrong)
    assert await node.work.audit_waits() == 1
    await node.work.promote()
    woken += await node.work.fetch(1)
    await node.work.settle([completed(kept(each)) for each in woken])
    assert len(woken) == 2


@pytest.mark.parametrize("key", ["steps", "event", "eventwaiters"])
async def test_one_that_cannot_begin_to_wait_runs_again_later_and_the_others_wait(cluster: Cluster, key: str) -> None:
    node = await cluster.node()
    jobs = [job() for _ in range(2)]
    await cluster.submit(*jobs)
    held = await node.work.fetch(2)
    wrong = f"{cluster.keys.prefix}{key}:{jobs[0].id.hex() if key == 'steps' else 'broken'}"
    cluster.raw.lpush(wrong, "x")
    await node.work.park_waiting(
        [waiting(each, "event", name, hour_from_now()) for each, name in zip(held, ("broken", "paid"), strict=True)]
    )
    assert await cluster.state(jobs[0]) is JobState.SCHEDULED
    assert await cluster.state(jobs[1]) is JobState.WAITING
    cluster.raw.delete(wrong)
    cluster.raw.zadd(cluster.keys.scheduled, {jobs[0].id: now_ms() - 5})
    await node.work.promote()
    (again,) = await node.work.fetch(1)
    assert (job_in(again).id, job_in(again).attempt) == (jobs[0].id, 0)
    await node.work.park_waiting([waiting(again, "event", "broken", hour_from_now())])
    assert await cluster.state(jobs[0]) is JobState.WAITING
