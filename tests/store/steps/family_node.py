"""A process that is a node: it runs parents, each with so many children, and those. It is there to be killed."""

from __future__ import annotations

import asyncio
import sys

import msgspec

from ironforge.job.limits import claims_of
from ironforge.job.record import Job, JobState, encode
from ironforge.job.uniqueness import held_key
from ironforge.settings import Settings
from ironforge.steps.journal import EntryKind
from ironforge.steps.waits import Wait, ties_of
from ironforge.store import Delivery, NewWait, NodeStore, Settled
from ironforge.store.node_contract import Consumer, Lease
from ironforge.store.steps.contract import NewChildren, ParentRun
from tests.store.kit import HOUR_MS, job_in, now_ms
from tests.store.steps.family import STEP, plain

BEAT_SECONDS = 0.2


def ended(delivery: Delivery, **changes: object) -> Settled:
    done = msgspec.structs.replace(job_in(delivery), **changes).finish(JobState.COMPLETED, now_ms())
    held = claims_of(done.limits), held_key(done.kind, done.unique), ties_of(done.parent, journal=done.journal)
    return *delivery[:2], done.id, encode(done), HOUR_MS, "completed", *held


async def run_parent(work: Consumer, delivery: Delivery, count: int) -> None:
    run = ParentRun(*delivery[:2], job_in(delivery))
    entry = (await work.journal(run.stream, run.job.id)).get(STEP)
    entry = await work.children.submit(run, STEP, NewChildren(count, plain), entry)
    recorded = {"journal": True, "version": 2}
    if entry.kind is EntryKind.WAIT:
        waiting = run.job.again(wait=Wait("children", STEP), **recorded)
        await work.park_waiting([NewWait.of(*delivery[:2], waiting, entry.started_ms)])
        return
    results: list[Job] = []
    while len(results) < count:
        results += await work.children.results(run, STEP, entry, len(results), 500)
    assert {result.ended for result in results} <= {"completed"}
    await work.settle([ended(delivery, **recorded)])


async def beat(store: NodeStore, lease: Lease) -> None:
    while True:
        for name in await asyncio.to_thread(store.leases.beat, lease):
            await store.leases.take_over(lease, name)
        await asyncio.sleep(BEAT_SECONDS)


async def live(settings: Settings, count: int) -> None:
    store = NodeStore(settings)
    lease = await store.leases.join()
    work = store.work(lease)
    beating = asyncio.create_task(beat(store, lease))
    while not beating.done():
        await work.promote()
        if work.alone.wait and await work.alone.claim():
            deliveries = await work.alone.fetch()
            await work.alone.unclaim()
        else:
            deliveries = await work.wait(500, 0.1)
        parents = [each for each in deliveries if job_in(each).kind == "parent"]
        await work.settle([ended(each) for each in deliveries if each not in parents])
        for parent in parents:
            await run_parent(work, parent, count)
    beating.result()


if __name__ == "__main__":
    asyncio.run(live(msgspec.json.decode(sys.argv[1], type=Settings), int(sys.argv[2])))
