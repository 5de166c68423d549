"""What callers and operators change."""

from __future__ import annotations

from typing import Any

from ironforge.job.limits import Limit, Override
from tests.store import declining
from tests.store.kit import dead, job_in, retry
from tests.store.spoiling.operations import (
    KINDS,
    OPERATIONS,
    Act,
    Make,
    job,
    limited,
    operation,
    parking,
    plain,
    several,
    with_each,
)
from tests.store.spoiling.world import World


@with_each(plain, *KINDS)
async def cancel_waiting(world: World, make: Make) -> Act:
    await world.held(make())
    one, other = make(), make()
    await world.submit(one, other)
    return lambda: world.producer.cancel(one.id)


@with_each(*KINDS)
async def cancel_scheduled(world: World, make: Make) -> Act:
    (given,) = await world.held(make())
    await world.work.park([retry(given)])
    await world.submit(make())
    return lambda: world.producer.cancel(job_in(given).id)


@with_each(*KINDS)
async def cancel_declined(world: World, make: Make) -> Act:
    (given,) = await world.held(make())
    await world.work.decline([declining.declined(given)])
    await world.submit(make())
    return lambda: world.producer.cancel(job_in(given).id)


@operation
async def cancel_running(world: World) -> Act:
    (given,) = await world.held(several())
    return lambda: world.producer.cancel(job_in(given).id)


@operation
async def cancel_one_that_waits_for_its_second_limit(world: World) -> Act:
    await world.held(job("one"))
    ahead = job("two", "one")
    await world.submit(ahead, job("two"))
    await world.work.fetch(5)
    return lambda: world.producer.cancel(ahead.id)


@with_each(*KINDS)
async def retry_dead(world: World, make: Make) -> Act:
    (given,) = await world.held(make())
    await world.submit(make())
    await world.work.bury([dead(given)])
    return lambda: world.producer.retry(job_in(given).id, reset_retry_count=True)


@operation
async def resume(world: World) -> Act:
    (given,) = await world.held(parking())
    await world.submit(parking())
    await world.work.bury([dead(given)])
    return lambda: world.cluster.store_client.limits.resume("park", "a")


@operation
async def pause(world: World) -> Act:
    await world.submit(limited())
    return lambda: world.producer.set_paused("else", paused=True)


def defining(how: str, *said: Any) -> None:
    async def prepare(world: World) -> Act:
        await world.held(limited())
        await world.submit(limited(), job("two"))
        return lambda: getattr(world.cluster.store_client.limits, how)("one", *said)

    OPERATIONS[f"{how}_limit"] = prepare


defining("put", Limit(concurrency=2))
defining("override", Override(concurrency=2))
defining("delete")
