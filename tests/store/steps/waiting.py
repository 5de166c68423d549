"""Jobs that wait, as a node would let them."""

from __future__ import annotations

from typing import Any

import msgspec

from ironforge.job.record import Job, encode
from ironforge.steps.journal import Entry, decode
from ironforge.steps.waits import Wait, WaitFor
from ironforge.store import Delivery, NewWait
from tests.store.kit import Cluster, Node, job, job_in, now_ms


def waiting(delivery: Delivery, for_: WaitFor, event: str = "", until_ms: int = 0, name: str = "pause") -> NewWait:
    old = job_in(delivery)
    wait = Wait(for_, name, event, until_ms)
    return NewWait.of(*delivery[:2], old.again(version=2, journal=True, wait=wait, crashes=0), now_ms())


def kept(delivery: Delivery) -> Delivery:
    """The same, as a run leaves it that has recorded something."""
    stream, entry, _ = delivery
    return stream, entry, encode(msgspec.structs.replace(job_in(delivery), version=2, journal=True))


async def parked(
    cluster: Cluster, for_: WaitFor, event: str = "", until_ms: int = 0, **fields: Any
) -> tuple[Node, Job]:
    """A node, and its job that waits."""
    one = job(**fields)
    node = await cluster.node()
    await cluster.submit(one)
    (delivery,) = await node.work.fetch(1)
    await node.work.park_waiting([waiting(delivery, for_, event, until_ms)])
    return node, one


def hour_from_now() -> int:
    return now_ms() + 3_600_000


def over(cluster: Cluster, one: Job, what: str) -> None:
    """The time for which it waits is over."""
    cluster.raw.zadd(cluster.keys.waiting(what), {one.id: now_ms() - 5})


def entry_of(cluster: Cluster, one: Job, field: str = "pause") -> Entry:
    return decode(cluster.raw.hget(cluster.keys.steps(one.id.hex()), field))
