"""Whatever is done to jobs and limits: each prepares what it needs and returns what is to be done then, once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from ironforge.job.limits import Limit, LimitUse, Override, throttled_mark
from ironforge.job.record import Job, new_id
from ironforge.job.uniqueness import UniqueUse
from ironforge.store import Adjustment, Delivery, Rewrite
from tests.store import declining, expiring, kit
from tests.store.kit import HOUR_MS, dead, job_in, retry, rewrite
from tests.store.spoiling.world import World

Act = Callable[[], Awaitable[Any]]
OPERATIONS: dict[str, Callable[[World], Awaitable[Act]]] = {}
REPLACE = UniqueUse("a", "queued", on_conflict="replace")
DEBOUNCE = UniqueUse("a", "queued", on_conflict="debounce")


def operation(prepare: Callable[[World], Awaitable[Act]]) -> Callable[[World], Awaitable[Act]]:
    OPERATIONS[prepare.__name__] = prepare
    return prepare


def job(*limits: str, unique: UniqueUse | None = None, **fields: Any) -> Job:
    """Created long ago, all in one minute."""
    uses = tuple(LimitUse(name, "a") for name in limits)
    one = kit.job(id=kit.early(), limits=uses, **fields)
    return msgspec.structs.replace(one, unique=unique, version=2 if uses or unique else 1)


def throttled(delivery: Delivery) -> Rewrite:
    used = job_in(delivery).limits[0]
    return Rewrite.of(*delivery[:2], job_in(delivery).again(), failed=False, throttled=throttled_mark({used: HOUR_MS}))


def as_batch(work: str, rewritten: Callable[[Delivery], Any], *jobs: Callable[[], Job]) -> None:
    """Operations of a node, each with the first of some jobs that it was given; the others wait."""
    for make in jobs:

        async def prepare(world: World, make: Callable[[], Job] = make) -> Act:
            first, *_ = await world.held(make())
            await world.submit(make())
            return lambda: world.rewrite(work, rewritten(first))

        prepare.__name__ = f"{work}_{rewritten.__name__}_{make.__name__}"
        operation(prepare)


def plain() -> Job:
    return job()


def fair() -> Job:
    return job(fairness_key="f")


def limited() -> Job:
    return job("one")


def several() -> Job:
    return job("one", "two", "fast", fairness_key="f")


def unique() -> Job:
    return job(unique=UniqueUse(new_id().hex()))


def blocking() -> Job:
    return job("block")


def parking() -> Job:
    return job("park", unique=UniqueUse(new_id().hex()))


def rated() -> Job:
    return job("fast", "one")


def slow() -> Job:
    return job("slow")


KINDS = (fair, several, parking)


def snoozed(delivery: Delivery) -> Rewrite:
    return rewrite(delivery)._replace(failed=False, delay_ms=HOUR_MS)


def expired(delivery: Delivery) -> Any:
    return kit.completed(delivery, state="expired")


as_batch("settle", kit.completed, plain, *KINDS)
as_batch("settle", expired, several)
as_batch("park", retry, *KINDS)
as_batch("park", snoozed, several)
as_batch("park", throttled, several, parking)
as_batch("requeue", rewrite, several)
as_batch("bury", dead, *KINDS)
as_batch("decline", declining.declined, *KINDS)


def submitting(name: str, *jobs: Callable[[], Job], before: Sequence[Callable[[], Job]] = (), **options: Any) -> None:
    async def prepare(world: World) -> Act:
        await world.held(*(make() for make in before))
        return world.submitting(*(make() for make in jobs), **options)

    prepare.__name__ = f"submit_{name}"
    operation(prepare)


for make in KINDS:
    submitting(make.__name__, make)
    submitting(f"delayed_{make.__name__}", make, delay_ms=HOUR_MS)
    submitting(f"{make.__name__}_behind_another", make, before=[make])
submitting("many", *KINDS, limited, rated)
submitting("rated_that_waits", slow, slow)
submitting("expiring", lambda: expiring.expiring(id=kit.early()), expires_in_ms=HOUR_MS)
submitting("with_an_idempotency_key", several, idempotency_key="i")


def replacing(name: str, use: UniqueUse, *limits: str, delay_ms: int | None = None, running: bool = False) -> None:
    async def prepare(world: World) -> Act:
        if running:
            await world.held(job(*limits))
        await world.submit(job(*limits, unique=use), delay_ms=delay_ms)
        return world.submitting(job(*limits, unique=use), delay_ms=delay_ms)

    prepare.__name__ = f"submit_{name}"
    operation(prepare)


for use in (REPLACE, DEBOUNCE, UniqueUse("a"), UniqueUse("a", "", for_ms=HOUR_MS)):
    about = f"{use.on_conflict}_{use.holding or 'for_a_time'}"
    replacing(f"{about}_queued", use)
    replacing(f"{about}_scheduled", use, delay_ms=HOUR_MS)
    replacing(f"{about}_limited", use, "one", "fast", delay_ms=0)
    replacing(f"{about}_limited_waiting", use, "one", "two", running=True)
    replacing(f"{about}_limited_scheduled", use, "one", delay_ms=HOUR_MS)


@operation
async def submit_replace_declined(world: World) -> Act:
    (given,) = await world.held(job("one", unique=REPLACE))
    await world.work.decline([declining.declined(given)])
    return world.submitting(job("two", unique=REPLACE))


@operation
async def submit_again(world: World) -> Act:
    one = job("one")
    await world.submit(one, idempotency_key="i", fingerprint=b"x" * 16)
    return world.submitting(one, idempotency_key="i", fingerprint=b"x" * 16, again=True)


def fetching(name: str, *jobs: Callable[[], Job], before: Sequence[Callable[[], Job]] = (), done: bool = False) -> None:
    """`before`: delivered already; with `done` they have ended."""

    async def prepare(world: World) -> Act:
        given = await world.held(*(make() for make in before))
        await world.submit(*(make() for make in jobs))
        if done:
            for one in given:
                await world.rewrite("settle", kit.completed(one))
        return lambda: world.work.fetch(1 if done else 10)

    prepare.__name__ = f"fetch_{name}"
    operation(prepare)


for make in KINDS:
    fetching(make.__name__, make)
    fetching(f"{make.__name__}_of_several", make, make, make)
    fetching(f"{make.__name__}_after_another", make, make, make, before=[make], done=True)
    fetching(f"{make.__name__}_behind_another", make, make, before=[make])
fetching("slow", slow, slow)
fetching("second_limit", several, several, before=[lambda: job("two")])
fetching("fifo_second", lambda: job("one", "block"), lambda: job("two", "block"), before=[limited])
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


for make in KINDS:

    async def fetch_declined(world: World, make: Callable[[], Job] = make) -> Act:
        given = await world.held(make(), make())
        await world.work.decline([declining.declined(one) for one in given])
        world.work.reader.selector.look_again()
        return lambda: world.work.fetch(5)

    fetch_declined.__name__ = f"fetch_declined_{make.__name__}"
    operation(fetch_declined)

    async def promote(world: World, make: Callable[[], Job] = make) -> Act:
        await world.held(make())
        await world.submit(make(), make(), delay_ms=HOUR_MS)
        world.cluster.ripen()
        return world.work.promote

    promote.__name__ = f"promote_{make.__name__}"
    operation(promote)

    async def promote_retried(world: World, make: Callable[[], Job] = make) -> Act:
        given = await world.held(make())
        await world.work.park([retry(one) for one in given])
        await world.submit(make())
        world.cluster.ripen()
        return world.work.promote

    promote_retried.__name__ = f"promote_retried_{make.__name__}"
    operation(promote_retried)

    async def cancel_waiting(world: World, make: Callable[[], Job] = make) -> Act:
        await world.held(make())
        one, other = make(), make()
        await world.submit(one, other)
        return lambda: world.producer.cancel(one.id)

    cancel_waiting.__name__ = f"cancel_waiting_{make.__name__}"
    operation(cancel_waiting)

    async def cancel_scheduled(world: World, make: Callable[[], Job] = make) -> Act:
        given = await world.held(make())
        await world.work.park([retry(one) for one in given])
        await world.submit(make())
        return lambda: world.producer.cancel(job_in(given[0]).id)

    cancel_scheduled.__name__ = f"cancel_scheduled_{make.__name__}"
    operation(cancel_scheduled)

    async def cancel_declined(world: World, make: Callable[[], Job] = make) -> Act:
        given = await world.held(make())
        await world.work.decline([declining.declined(one) for one in given])
        await world.submit(make())
        return lambda: world.producer.cancel(job_in(given[0]).id)

    cancel_declined.__name__ = f"cancel_declined_{make.__name__}"
    operation(cancel_declined)

    async def retry_dead(world: World, make: Callable[[], Job] = make) -> Act:
        given = await world.held(make())
        await world.submit(make())
        await world.work.bury([dead(one) for one in given])
        return lambda: world.producer.retry(job_in(given[0]).id, reset_retry_count=True)

    retry_dead.__name__ = f"retry_dead_{make.__name__}"
    operation(retry_dead)

    async def quarantine(world: World, make: Callable[[], Job] = make) -> Act:
        given = await world.held(make())
        await world.submit(make())
        return lambda: world.work.bury_raw(given[0], "no job")

    quarantine.__name__ = f"quarantine_{make.__name__}"
    operation(quarantine)

    async def restore(world: World, make: Callable[[], Job] = make) -> Act:
        given = await world.held(make())
        await world.submit(make())
        await world.work.bury_raw(given[0], "no job")
        return world.work.restore

    restore.__name__ = f"restore_{make.__name__}"
    operation(restore)

    async def take_over(world: World, make: Callable[[], Job] = make) -> Act:
        await world.held(make())
        await world.submit(make())
        heir = await world.cluster.node()
        world.cluster.lapse(world.node)
        return lambda: heir.leases.take_over(heir.lease, world.node.lease.node)

    take_over.__name__ = f"take_over_{make.__name__}"
    operation(take_over)


@operation
async def cancel_running(world: World) -> Act:
    (given,) = await world.held(several())
    return lambda: world.producer.cancel(job_in(given).id)


@operation
async def cancel_one_of_two_limits(world: World) -> Act:
    await world.held(job("one"))
    ahead = job("two", "one")
    await world.submit(ahead, job("two"))
    await world.work.fetch(5)
    return lambda: world.producer.cancel(ahead.id)


@operation
async def settle_cancelled(world: World) -> Act:
    (given,) = await world.held(several())
    await world.submit(several())
    await world.producer.cancel(job_in(given).id)
    return lambda: world.work.park([retry(given)])


@operation
async def expire_dead(world: World) -> Act:
    given = await world.held(parking(), blocking())
    await world.submit(parking())
    await world.work.bury([dead(one) for one in given])
    for one in given:
        world.raw.zadd(world.keys.dead, {job_in(one).id: 1})
    world.given_up.update(kit.ids_in(given))
    return world.work.expire


@operation
async def expire_waiting(world: World) -> Act:
    await world.held(limited())
    waits = msgspec.structs.replace(job("one", unique=UniqueUse("a")))
    await world.submit(waits, expires_in_ms=HOUR_MS)
    await world.submit(job("one"))
    world.raw.zadd(world.keys.expiries, {waits.id: 1})
    return world.work.promote


@operation
async def bury_unserved(world: World) -> Act:
    given = await world.held(several(), job("block", kind="new.kind"))
    await world.work.decline([declining.declined(one) for one in given])
    await world.work.bury_unserved()
    world.raw.zincrby(world.keys.unserved, 100 * 24 * HOUR_MS, "")
    return world.work.bury_unserved


@operation
async def adjust(world: World) -> Act:
    given = await world.held(rated())
    await world.submit(rated())
    stream = given[0][0]
    return lambda: world.work.adjust(
        [
            Adjustment(stream, "fast\na", units=5),
            Adjustment(stream, "fast\na", units=-1),
            Adjustment(stream, "one\na", throttled_ms=HOUR_MS),
        ]
    )


@operation
async def resume(world: World) -> Act:
    (given,) = await world.held(parking())
    await world.submit(parking())
    await world.work.bury([dead(given)])
    return lambda: world.cluster.store_client.limits.resume("park", "a")


@operation
async def audit_limits(world: World) -> Act:
    await world.held(limited())
    await world.submit(limited(), several())
    return world.work.audit_limits


@operation
async def put_limit(world: World) -> Act:
    await world.held(limited())
    await world.submit(limited())
    return lambda: world.cluster.store_client.limits.put("one", Limit(concurrency=2))


@operation
async def override_limit(world: World) -> Act:
    await world.held(limited())
    await world.submit(limited())
    return lambda: world.cluster.store_client.limits.override("one", Override(concurrency=2))


@operation
async def delete_limit(world: World) -> Act:
    await world.held(limited())
    await world.submit(limited(), job("two"))
    return lambda: world.cluster.store_client.limits.delete("one")


@operation
async def pause(world: World) -> Act:
    await world.submit(limited())
    return lambda: world.producer.set_paused("else", paused=True)


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


@operation
async def leave(world: World) -> Act:
    await world.held(limited(), plain())
    await world.submit(limited())
    return lambda: world.node.leases.leave(world.node.lease)


@operation
async def run_alone(world: World) -> Act:
    (given,) = await world.held(limited())
    await world.work.requeue([Rewrite.of(*given[:2], job_in(given), alone=True)])
    world.work.reader.selector.look_again()
    assert await world.work.alone.claim()

    async def take() -> None:
        await world.work.alone.claim()
        await world.work.alone.fetch()
        await world.work.alone.unclaim()

    return take
