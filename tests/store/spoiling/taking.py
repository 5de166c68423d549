"""How nodes are given jobs, and what they see to."""

from __future__ import annotations

from collections.abc import Sequence

from ironforge.job.uniqueness import UniqueUse
from ironforge.store import Rewrite
from tests.store import declining, kit
from tests.store.kit import HOUR_MS, dead, job_in, retry
from tests.store.spoiling.leaving import throttled
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
    slow,
    with_each,
)
from tests.store.spoiling.world import World


def fetching(name: str, *jobs: Make, before: Sequence[Make] = (), done: bool = False) -> None:
    """`before`: delivered already; with `done` they have ended."""

    async def prepare(world: World) -> Act:
        given = await world.held(*(make() for make in before))
        await world.submit(*(make() for make in jobs))
        for one in given if done else ():
            await world.rewrite("settle", kit.completed(one))
        return lambda: world.work.fetch(1 if done else 10)

    OPERATIONS[f"fetch_{name}"] = prepare


for one in (plain, *KINDS):
    fetching(f"some_{one.__name__}", one, one, one)
for one in (limited, several, parking):
    fetching(f"{one.__name__}_after_another", one, one, one, before=[one], done=True)
    fetching(f"{one.__name__}_behind_another", one, one, before=[one])
fetching("slow", slow, slow)
fetching("second_limit", several, several, before=[lambda: job("two")])
fetching("fifo_second", lambda: job("slow", "park"), lambda: job("park", "fast"), before=[slow])
fetching("cancel_new", lambda: job("new"), before=[lambda: job("new")])
fetching("cancel_oldest", lambda: job("old"), before=[lambda: job("old")])


@operation
async def fetch_probe(world: World) -> Act:
    (given,) = await world.held(job("one"))
    await world.work.park([throttled(given)])
    await world.submit(job("one"), job("one", "two"))
    for times in (world.keys.stops, world.keys.dueroom):
        world.raw.zadd(times, {"one\na": 1})
    return lambda: world.work.fetch(5)


@with_each(*KINDS)
async def fetch_declined(world: World, make: Make) -> Act:
    given = await world.held(make(), make())
    await world.work.decline([declining.declined(one) for one in given])
    world.work.reader.selector.look_again()
    return lambda: world.work.fetch(5)


@operation
async def fetch_alone(world: World) -> Act:
    (given,) = await world.held(limited())
    await world.work.requeue([Rewrite.of(*given[:2], job_in(given), alone=True)])
    world.work.reader.selector.look_again()

    async def take() -> None:
        await world.work.alone.claim()
        await world.work.alone.fetch()
        await world.work.alone.unclaim()

    return take


@with_each(*KINDS)
async def promote(world: World, make: Make) -> Act:
    await world.held(make())
    await world.submit(make(), make(), delay_ms=HOUR_MS)
    world.cluster.ripen()
    return world.work.promote


@with_each(*KINDS)
async def promote_retried(world: World, make: Make) -> Act:
    given = await world.held(make())
    await world.work.park([retry(one) for one in given])
    await world.submit(make())
    world.cluster.ripen()
    return world.work.promote


@operation
async def expire_dead(world: World) -> Act:
    given = await world.held(parking())
    await world.submit(parking())
    await world.work.bury([dead(one) for one in given])
    world.raw.zadd(world.keys.dead, dict.fromkeys(kit.ids_in(given), 1))
    world.given_up.update(kit.ids_in(given))
    return world.work.expire


@operation
async def expire_waiting(world: World) -> Act:
    await world.held(limited())
    waits = job("one", unique=UniqueUse("a"))
    await world.submit(waits, expires_in_ms=HOUR_MS)
    await world.submit(limited())
    world.raw.zadd(world.keys.expiries, {waits.id: 1})
    return world.work.promote


@operation
async def bury_unserved(world: World) -> Act:
    given = await world.held(several(), job("park", kind="new.kind"))
    await world.work.decline([declining.declined(one) for one in given])
    await world.work.bury_unserved()
    world.raw.zincrby(world.keys.unserved, 100 * 24 * HOUR_MS, "")
    return world.work.bury_unserved


@operation
async def audit_limits(world: World) -> Act:
    await world.held(limited())
    await world.submit(limited(), several())
    return world.work.audit_limits


@operation
async def forget_queues(world: World) -> Act:
    await world.held(limited())
    await world.submit(limited(), several())
    world.raw.sadd(world.keys.queues, "gone")
    return world.work.expire


@operation
async def join(world: World) -> Act:
    await world.held(limited(), plain())
    return lambda: world.cluster.node(declining.announced("k"))
