"""How jobs leave their node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ironforge.job.limits import throttled_mark
from ironforge.store import Adjustment, Delivery, Rewrite
from tests.store import declining, kit
from tests.store.kit import HOUR_MS, dead, job_in, retry, rewrite
from tests.store.spoiling.operations import (
    KINDS,
    OPERATIONS,
    Act,
    Make,
    limited,
    operation,
    parking,
    plain,
    rated,
    several,
    with_each,
)
from tests.store.spoiling.world import World


def throttled(delivery: Delivery) -> Rewrite:
    used = job_in(delivery).limits[0]
    return Rewrite.of(*delivery[:2], job_in(delivery).again(), failed=False, throttled=throttled_mark({used: HOUR_MS}))


def snoozed(delivery: Delivery) -> Rewrite:
    return rewrite(delivery)._replace(failed=False, delay_ms=HOUR_MS)


def expired(delivery: Delivery) -> Any:
    return kit.completed(delivery, state="expired")


def leaving(work: str, rewritten: Callable[[Delivery], Any], *kinds: Make) -> None:
    """By this method of a consumer; another job like it waits."""

    def register(make: Make) -> None:
        async def prepare(world: World) -> Act:
            first, *_ = await world.held(make())
            await world.submit(make())
            return lambda: world.rewrite(work, rewritten(first))

        OPERATIONS[f"{work}_{rewritten.__name__}_{make.__name__}"] = prepare

    for make in kinds:
        register(make)


leaving("settle", kit.completed, plain, *KINDS)
leaving("settle", expired, several)
leaving("park", retry, *KINDS)
leaving("park", snoozed, several)
leaving("park", throttled, limited, several, parking, rated)
leaving("requeue", rewrite, several)
leaving("bury", dead, *KINDS)
leaving("decline", declining.declined, *KINDS)


@operation
async def settle_cancelled(world: World) -> Act:
    (given,) = await world.held(several())
    await world.submit(several())
    await world.producer.cancel(job_in(given).id)
    return lambda: world.work.park([retry(given)])


@with_each(*KINDS)
async def quarantine(world: World, make: Make) -> Act:
    (given,) = await world.held(make())
    await world.submit(make())
    return lambda: world.work.bury_raw(given, "no job")


@with_each(*KINDS)
async def restore(world: World, make: Make) -> Act:
    (given,) = await world.held(make())
    await world.submit(make())
    await world.work.bury_raw(given, "no job")
    return world.work.restore


@with_each(several)
async def take_over(world: World, make: Make) -> Act:
    await world.held(make())
    await world.submit(make())
    heir = await world.cluster.node()
    world.cluster.lapse(world.node)
    return lambda: heir.leases.take_over(heir.lease, world.node.lease.node)


@operation
async def leave(world: World) -> Act:
    await world.held(limited(), plain())
    await world.submit(limited())
    return lambda: world.node.leases.leave(world.node.lease)


@operation
async def adjust(world: World) -> Act:
    ((stream, *_),) = await world.held(rated())
    await world.submit(rated())
    said = [
        Adjustment(stream, "fast\na", units=5),
        Adjustment(stream, "fast\na", units=-1),
        Adjustment(stream, "one\na", throttled_ms=HOUR_MS),
    ]
    return lambda: world.work.adjust(said)
